"""Which requests a connection remembers, so that the next with the same head need not be parsed."""

from typing import Any

import pytest

from gateway.transports.head import LESSONS, USUAL_BODY_BYTES, USUAL_BYTES, Head, Lessons, Usual

HOST = (b"host", b"localhost")
BODY = b'{"query":"{ hello }"}'
LENGTH = (b"content-length", b"%d" % len(BODY))


def written(*headers: tuple[bytes, bytes], body: bytes = BODY) -> bytes:
    return b"POST /graphql HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + body


def learned(data: bytes, *headers: tuple[bytes, bytes]) -> Usual | None:
    scope: dict[str, Any] = {"headers": [*headers], "head": Head("POST", headers)}
    return Usual.learned(data, scope, None)


def test_request_with_the_same_head_is_known_whatever_its_body() -> None:
    usual = learned(written(HOST, LENGTH), HOST, LENGTH)
    assert usual is not None
    assert usual.begins(written(HOST, LENGTH, body=b"x" * len(BODY)))
    assert usual.head == written(HOST, LENGTH, body=b"")


def test_request_without_a_body_is_known() -> None:
    usual = learned(written(HOST, body=b""), HOST)
    assert usual is not None
    assert usual.begins(written(HOST, body=b""))


@pytest.mark.parametrize(
    "data",
    [
        written(HOST, LENGTH, body=BODY + b"\r\n"),
        written(HOST, LENGTH, body=BODY[:-1]),
        written(HOST, LENGTH) * 2,
        written(HOST, (b"content-length", b"22")),
        written(HOST, LENGTH).lower(),
    ],
)
def test_what_differs_in_its_head_or_length_is_not_known(data: bytes) -> None:
    usual = learned(written(HOST, LENGTH), HOST, LENGTH)
    assert usual is not None
    assert not usual.begins(data)


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"\r\n" + written(HOST, LENGTH), (HOST, LENGTH)),
        (written(HOST, LENGTH) + b"\r\n", (HOST, LENGTH)),
        (written(HOST, LENGTH).replace(b"\r\n\r\n", b"\n\n"), (HOST, LENGTH)),
        (written(HOST, LENGTH).replace(b"localhost\r\n", b"localhost\r\n folded\r\n"), (HOST, LENGTH)),
        (written(HOST, LENGTH, (b"transfer-encoding", b"identity")), (HOST, LENGTH, (b"transfer-encoding", b""))),
        (written(HOST, LENGTH, LENGTH), (HOST, LENGTH, LENGTH)),
    ],
)
def test_what_may_have_been_framed_in_another_way_is_not_learned(
    data: bytes, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    assert learned(data, *headers) is None


def test_what_would_take_much_memory_or_comes_in_pieces_is_not_learned() -> None:
    long = (b"x", b"y" * USUAL_BYTES)
    assert learned(written(HOST, long, body=b""), HOST, long) is None
    body = b"x" * (USUAL_BODY_BYTES + 1)
    length = (b"content-length", b"%d" % len(body))
    assert learned(written(HOST, length, body=body), HOST, length) is None


def test_latest_head_is_remembered_until_too_many_were_learned() -> None:
    lessons = Lessons()
    for number in range(LESSONS + 1):
        headers = (HOST, (b"x", b"%d" % number))
        scope: dict[str, Any] = {"headers": [*headers], "head": Head("POST", headers)}
        lessons.learn(written(*headers, body=b""), scope, None)
    assert lessons.usual is not None
    assert lessons.usual.head.endswith(b"x: %d\r\n\r\n" % (LESSONS - 1))
