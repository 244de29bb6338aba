"""What a gateway may answer, whatever it was asked: well-formed errors with public codes, and never a masked one."""

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
DOCUMENTED = frozenset(re.findall(r"^\| `([A-Z_]+)` \|", PAGE.read_text(), re.MULTILINE))
"""The codes of the page's table of errors."""
PUBLIC = DOCUMENTED - {"INTERNAL"}
_CODE = re.compile(rb'"code":"([^"]*)"')
_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)


def judge_response(body: bytes) -> dict[str, Any]:
    """Return the GraphQL response that `body` holds, which must be one (GraphQL specification §7.1)."""
    response: dict[str, Any] = json.loads(body)
    assert response.keys() <= {"data", "errors", "extensions"}, response
    assert response.get("data") is not None or response.get("errors"), response
    judge_errors(response.get("errors", []))
    return response


def judge_errors(errors: list[dict[str, Any]]) -> None:
    """Fail unless each error has a message and a public code."""
    for error in errors:
        assert isinstance(error["message"], str), error
        assert error["extensions"]["code"] in PUBLIC, error


def judge_bytes(answer: bytes) -> None:
    """Fail if any answer in what a connection said is a 5xx, or any error's code is not public."""
    assert [status for status in _STATUS.findall(answer) if status >= b"500"] == [], answer[:2_000]
    assert {code.decode() for code in _CODE.findall(answer)} <= PUBLIC, answer[:2_000]
