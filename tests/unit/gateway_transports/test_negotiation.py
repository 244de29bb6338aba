"""Accept and Content-Type as RFC 9110 and the GraphQL-over-HTTP specification read them."""

import pytest

from gateway.transports.negotiation import HTML, JSON, RESPONSE_JSON, choose_media_type, is_json

ANSWERS = (RESPONSE_JSON, JSON)
PAGES = (*ANSWERS, HTML)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (RESPONSE_JSON, RESPONSE_JSON),
        (JSON, JSON),
        ("APPLICATION/JSON", JSON),
        (f"{JSON}, {RESPONSE_JSON}", RESPONSE_JSON),
        (f"{RESPONSE_JSON};q=0.9, {JSON}", JSON),
        (f"{RESPONSE_JSON}, */*", RESPONSE_JSON),
        (f"{JSON}, */*", JSON),
        (f"{RESPONSE_JSON};q=0, */*", JSON),
        (f"{JSON};q=0, */*", RESPONSE_JSON),
        (f"{JSON}; charset=utf-8", JSON),
        (f'{JSON}; charset="UTF-8"', JSON),
        (f"{JSON}; charset=utf-16", None),
        (f"{JSON};q=0", None),
        (f"{JSON};q=2", None),
        (f"{JSON};q=nan", None),
        (f"{JSON};q=high", None),
        ("text/html", None),
        ("*", None),
        ("*/json", None),
        ("/", None),
        (",,;q=1,", None),
    ],
)
def test_choice_among_the_answers(accept: str | None, chosen: str | None) -> None:
    assert choose_media_type(accept, ANSWERS) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        ("text/html;q=0.1, application/json", JSON),
        ("text/*", HTML),
        ("*/*", JSON),
        (None, JSON),
    ],
)
def test_page_is_chosen_only_by_who_prefers_it(accept: str | None, chosen: str) -> None:
    assert choose_media_type(accept, PAGES) == chosen


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (JSON, True),
        ("Application/JSON", True),
        (f"{JSON}; charset=utf-8", True),
        (f'{JSON};charset="UTF8"', True),
        (f"{JSON}; charset=latin-1", False),
        (f"{JSON}; charset=utf-8; charset=latin-1", False),
        (f"{JSON} ;; x=y; charset*=a; charset*0=b", True),
        (f"{JSON}; charset*{'9' * 5_000}=b", True),
        ("application/json+x", False),
        (RESPONSE_JSON, False),
        ("text/plain", False),
        (f"text/plain, {JSON}", False),
        (f"{JSON}, text/plain", False),
        ("", False),
        (None, False),
    ],
)
def test_json_in_utf_8_only(content_type: str | None, expected: bool) -> None:
    assert is_json(content_type) is expected
