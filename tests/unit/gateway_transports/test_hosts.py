"""Whose names and origins are taken for this gateway's own."""

import pytest

from gateway.transports.hosts import is_origin_allowed, is_own_name

NAMES = frozenset({"headway.example"})


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8000", "LOCALHOST.", "app.localhost:1", "127.0.0.1:8000", "10.0.0.7", "[::1]:8000",
        "[2001:db8::1]", "headway.example:8000", "Headway.Example", "headway.example.", "",
    ],
)  # fmt: skip
def test_name_that_nobody_else_can_have_is_own(host: str) -> None:
    assert is_own_name(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "evil.headway.example",
        "localhost@evil.example", "evil", "[", ":8000", "0x7f.1", "2130706433",
    ],
)  # fmt: skip
def test_other_name_is_not_own(host: str) -> None:
    assert not is_own_name(host, NAMES)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("https://headway.example", "headway.example"),
        ("https://headway.example", "headway.example:443"),
        ("http://headway.example:80", "Headway.example"),
        ("https://app.example", "localhost:8000"),
        ("http://app.example:3000", "localhost:8000"),
        ("http://tool.example:3000", "localhost:8000"),
        ("vscode-webview://panel", "localhost:8000"),
    ],
)
def test_page_of_the_host_that_is_asked_or_of_an_allowed_one_may_connect(origin: str, host: str) -> None:
    allowed = ("app.example", "tool.example:3000", "vscode-webview://panel")
    assert is_origin_allowed(origin, host, allowed)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:3000", "localhost:8000"),
        ("http://localhost", "localhost:8000"),
        ("http://tool.example:3001", "localhost:8000"),
        ("https://headway.example", "headway.example:80"),
        ("http://evil.example", "localhost:8000"),
        ("null", "localhost:8000"),
        ("", ""),
        ("http://[", "localhost:8000"),
        ("http://localhost:99999", "localhost:8000"),
    ],
)
def test_page_of_another_host_or_port_may_not(origin: str, host: str) -> None:
    assert not is_origin_allowed(origin, host, ("tool.example:3000",))
