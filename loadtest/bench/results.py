"""What was found, kept in a folder so that parts can be measured one at a time, and its place in the page."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from loadtest.bench.figures import Spread

IMAGES = "img"
OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS


@dataclass(frozen=True)
class Found:
    """What came of one measure of a part. In the text charts are in the folder `img`.

    `measures` are what goals are about, by their names; `figures` is everything, for whoever wants to look.
    """

    part: str
    name: str
    order: int
    """Its place among the measures of its part."""
    text: str
    measures: Mapping[str, Spread]
    charts: Mapping[str, str] = field(default_factory=dict)
    figures: Any = None
    facts: str = ""
    """When, where and by which command."""


def keep(found: Found, out: Path) -> None:
    """Keep what was found in a folder, in place of what was found there of the same before."""
    (out / f"{found.part}-{found.name}.json").write_bytes(orjson.dumps(asdict(found), option=OPTIONS))
    _draw(found.charts, out / IMAGES)


def kept(out: Path) -> list[Found]:
    """Return what a folder keeps, part by part, in the order of their measures."""
    every = [orjson.loads(file.read_bytes()) for file in out.glob("*-*.json")]
    found = [
        Found(**one | {"measures": {name: Spread(**each) for name, each in one["measures"].items()}}) for one in every
    ]
    return sorted(found, key=lambda one: (one.part, one.order))


def section(part: str, out: Path) -> str:
    """Return all that is kept of a part, and what it hangs on where that changes."""
    pieces, facts = [], ""
    for one in kept(out):
        if one.part == part:
            pieces += [one.text] if one.facts == facts else [one.facts, one.text]
            facts = one.facts
    return "\n\n".join(pieces)


def write(part: str, out: Path, page: Path) -> None:
    """Put all that is kept of a part, and its charts, into a page. Raises ValueError where it has no place there."""
    put(page, part, section(part, out))
    for one in kept(out):
        if one.part == part:
            _draw(one.charts, page.parent / IMAGES)


def put(page: Path, part: str, text: str) -> None:
    """Write a section into a page, between the two comments that mark its place. Raises ValueError without."""
    begin, end = f"<!-- bench {part} -->", f"<!-- end of bench {part} -->"
    old = page.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not marked.search(old):
        raise ValueError(f"expected {begin} and {end} in {page}")
    page.write_text(marked.sub(lambda _: f"{begin}\n{text}\n{end}", old), encoding="utf-8")


def _draw(charts: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawing in charts.items():
        (folder / name).write_text(drawing, encoding="utf-8")
