"""docs/security.md names every limit of the edge with its default."""

import re
from pathlib import Path

import pytest

from gateway.transports.limits import EdgeLimits

PAGE = Path(__file__).parents[3] / "docs" / "security.md"
ROWS = dict(re.findall(r"^\| `(HEADWAY_\w+)` \| (.+?) \|", PAGE.read_text(), re.MULTILINE))


def shown(value: object) -> str:
    """Return a default as the page writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:,}".removesuffix(".0")
    return str(value) if value else "none"


@pytest.mark.parametrize("name", EdgeLimits.model_fields)
def test_limit_stands_on_the_page_with_its_default(name: str) -> None:
    assert ROWS.get(f"HEADWAY_{name.upper()}") == shown(EdgeLimits.model_fields[name].default)
