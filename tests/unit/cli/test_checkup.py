"""What the doctor makes of versions and clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from cli.checkup import clock_finding, version_finding
from cli.findings import Level

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("offset_s", "level", "said"),
    [
        (0, Level.OK, "within"),
        (0.9, Level.OK, "within"),
        (3, Level.BAD, "2.5 s ahead"),
        (-2, Level.BAD, "2.0 s behind"),
    ],
)
def test_clock_is_judged_by_what_the_answers_time_can_not_explain(offset_s: float, level: Level, said: str) -> None:
    there = NOW + timedelta(seconds=offset_s)

    finding = clock_finding("its clock", there, NOW, NOW + timedelta(seconds=0.5))

    assert finding.level is level
    assert said in finding.said
    assert bool(finding.advice) is (level is not Level.OK)


@pytest.mark.parametrize(
    ("version", "level"), [("8.0.1", Level.OK), ("7", Level.OK), ("6.2", Level.BAD), ("unknown", Level.WARN)]
)
def test_version_that_is_too_old_is_to_be_upgraded(version: str, level: Level) -> None:
    assert version_finding("Redis", version).level is level
