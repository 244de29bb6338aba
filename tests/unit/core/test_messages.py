"""What a broker message may be: anything else is unreadable, never a reason to end."""

from uuid import UUID

import pytest

from core.messages import TaskMessage, UnreadableMessage, decode_message, encode_message

TASK = UUID("6f1c1f3e-9a39-4b0a-8f5c-0d2d6a0a0a0a")


def test_message_survives_its_journey() -> None:
    message = TaskMessage(TASK, 7, "00-trace")
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("epoch", ["0", "-1", "9223372036854775808", "99999999999999999999999", "1.5", '"1"', "null"])
def test_epoch_that_no_database_can_compare_is_unreadable(epoch: str) -> None:
    with pytest.raises(UnreadableMessage):
        decode_message(f'{{"task_id":"{TASK}","epoch":{epoch}}}'.encode())


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[]", b"null", b'{"task_id":1}', b'{"epoch":1}', b'{"x":' + b"[" * 100_000 + b"]" * 100_000],
)
def test_what_is_no_message_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        decode_message(body)


def test_other_version_is_unreadable() -> None:
    with pytest.raises(UnreadableMessage, match="version 1"):
        decode_message(encode_message(TaskMessage(TASK, 1, version=2)))
