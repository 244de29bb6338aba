"""The verdict on subscribers notices each promise that is broken."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.documents import TimelineEntry
from core.events import Cursor
from core.states import Delivery, TaskStatus
from tests.faults.follower import Seen, Story, Way
from tests.faults.stories import hear

AT = datetime(2026, 1, 1, tzinfo=UTC)
TIMELINE = [
    TimelineEntry(epoch=1, n=1, at=AT, attempt=0, status=TaskStatus.PENDING, by="gateway"),
    TimelineEntry(epoch=2, n=1, at=AT, attempt=1, status=TaskStatus.RUNNING, by="worker-1"),
    TimelineEntry(epoch=3, n=1, at=AT, attempt=1, status=TaskStatus.QUEUED, by="bridge-1"),
    TimelineEntry(epoch=4, n=1, at=AT, attempt=2, status=TaskStatus.RUNNING, by="worker-2"),
    TimelineEntry(epoch=4, n=4, at=AT, attempt=2, status=TaskStatus.SUCCEEDED, by="worker-2"),
]


def seen(
    epoch: int, n: int, attempt: int, status: TaskStatus | None = None, current: int | None = None, connection: int = 1
) -> Seen:
    """Return what came as this event."""
    said = None if current is None else f"{100 * epoch + n:.4f}"
    return Seen(100 * epoch + n + 0.01, connection, Cursor(epoch, n), attempt, Delivery.LIVE, status, current, said)


def kept() -> Story:
    """Return the story of a subscriber to whom every promise was kept, over two connections and a worker's death."""
    events = [
        seen(1, 1, 0, TaskStatus.PENDING),
        seen(2, 1, 1, TaskStatus.RUNNING),
        seen(2, 2, 1, current=9),
        replace(seen(3, 0, 1), is_gap=True),
        seen(3, 1, 1, TaskStatus.QUEUED),
        seen(4, 1, 2, TaskStatus.RUNNING, connection=2),
        seen(4, 2, 2, current=1, connection=2),
        seen(4, 3, 2, current=2, connection=2),
        seen(4, 4, 2, TaskStatus.SUCCEEDED, connection=2),
    ]
    return Story("a", Way.EVENTS, events, completed=True)


def without(place: int) -> Callable[[Story], None]:
    """Leave out what came at a place."""

    def change(story: Story) -> None:
        del story.seen[place]

    return change


def changed(place: int, **changes: object) -> Callable[[Story], None]:
    """Change what came at a place."""

    def change(story: Story) -> None:
        story.seen[place] = replace(story.seen[place], **changes)  # type: ignore[arg-type]  # As each test says.

    return change


def repeated(place: int, **changes: object) -> Callable[[Story], None]:
    """Have something come twice."""

    def change(story: Story) -> None:
        story.seen.insert(place + 1, replace(story.seen[place], **changes))  # type: ignore[arg-type]

    return change


def test_kept_promises_are_not_complained_of() -> None:
    hearing = hear([kept()], {"a": TIMELINE}, may_miss_progress=False)

    assert hearing.broken == []
    assert hearing.live_s == pytest.approx([0.01] * 3, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (without(-1), "saw 0 ends"),
        (repeated(-1, cursor=Cursor(4, 5)), "saw 2 ends"),
        (without(4), "did not see QUEUED at 3-1"),
        (changed(2, current=3, cursor=Cursor(2, 1)), "saw 2-1 after 2-1"),
        (changed(7, current=0), "saw the bar fall from 1 to 0"),
        (changed(5, cursor=Cursor(3, 1)), "saw 3-1 after 3-1 on its next connection"),
        (changed(6, is_gap=True), "was told of a gap at 4-2"),
        (lambda story: setattr(story, "completed", False), "was not told that this was all"),
        (lambda story: story.errors.append("NOT_FOUND"), "was refused: ['NOT_FOUND']"),
    ],
)
def test_broken_promise_is_complained_of(change: Callable[[Story], None], complaint: str) -> None:
    story = kept()
    change(story)

    broken = hear([story], {"a": TIMELINE}, may_miss_progress=False).broken

    assert any(what.endswith(complaint) for what in broken), broken


def test_subscriber_without_an_end_is_complained_of() -> None:
    assert hear([None], {}, may_miss_progress=True).broken == ["a subscriber never saw an end"]
