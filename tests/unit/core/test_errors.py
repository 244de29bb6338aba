"""The tree of public errors is whole: each class has a code of its own, and the page of errors knows every code."""

import re
from pathlib import Path

import pytest

from core import errors
from core.errors import HeadwayError
from tests.fuzz.verdict import DOCUMENTED
from tests.integration.gateway_transports.standin import PUBLIC_ERRORS

ROOT = Path(__file__).parents[3]
CLASSES = [found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, HeadwayError)]
_CODES = (
    r'Refusal\(\s*\d{3}, "([A-Z_]+)"',
    r'_refuse\(\d{3}, "([A-Z_]+)"',
    r'Refused\.because\(\s*"([A-Z_]+)"',
    r'"code": "([A-Z_]+)"',
    r'json_error\(\d+, "([A-Z_]+)"',
    r'return "([A-Z]+_[A-Z_]+)"',
    r'^ +code = "([A-Z_]+)"',
)


def test_each_class_has_a_code_of_its_own() -> None:
    own = [found for found in CLASSES if "code" in vars(found)]  # A more special case of another has that one's code.
    codes = [found.code for found in own]
    assert len(set(codes)) == len(codes)
    assert {found.code for found in own if found is not HeadwayError} == set(PUBLIC_ERRORS)
    assert {type(error) for error in PUBLIC_ERRORS.values()} == set(own) - {HeadwayError}


@pytest.mark.parametrize("found", CLASSES)
def test_each_class_is_on_the_page_and_in_the_drawing(found: type[HeadwayError]) -> None:
    assert found.code in DOCUMENTED
    if found is not HeadwayError:
        assert re.search(rf"── {found.__name__} +{found.code} ", errors.__doc__ or "")


@pytest.mark.parametrize("code", PUBLIC_ERRORS)
def test_extensions_hold_the_code_first(code: str) -> None:
    assert next(iter(PUBLIC_ERRORS[code].extensions.items())) == ("code", code)


def test_every_code_that_the_gateway_writes_is_on_the_page() -> None:
    written: set[str] = set()
    for path in [*ROOT.glob("gateway/**/*.py"), ROOT / "core" / "errors.py"]:
        for pattern in _CODES:
            written |= set(re.findall(pattern, path.read_text(), re.MULTILINE))
    assert {"BAD_USER_INPUT", "PAYLOAD_TOO_LARGE", "GRAPHQL_PARSE_FAILED", "QUERY_TOO_COMPLEX"} <= written
    assert written <= DOCUMENTED, written - DOCUMENTED
