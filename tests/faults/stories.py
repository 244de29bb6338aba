"""What every subscriber is promised, checked on what it saw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import attrgetter

from core.documents import TimelineEntry
from core.events import Cursor
from core.states import HELD, Delivery
from tests.faults.follower import Seen, Story, Way

Timelines = Mapping[str, Sequence[TimelineEntry]]


@dataclass
class Hearing:
    """What came of all stories: what was broken, and how long things took in seconds."""

    broken: list[str] = field(default_factory=list)
    duplicated: int = 0
    live_s: list[float] = field(default_factory=list)
    degraded_s: list[float] = field(default_factory=list)
    resume_s: list[float] = field(default_factory=list)


def hear(stories: Sequence[Story | None], timelines: Timelines, *, may_miss_progress: bool) -> Hearing:
    """Check every story; `may_miss_progress` says that a stream may have lost some, so that a `Gap` is honest."""
    hearing = Hearing()
    for story in stories:
        if story is None:
            hearing.broken.append("a subscriber never saw an end")
            continue
        hearing.resume_s += story.resumed_after_s
        who = f"a subscriber of {story.way} of {story.task_id}"
        hearing.broken += [f"{who} {what}" for what in _wrong_with(story)]
        if story.way is Way.EVENTS:
            timeline = timelines.get(story.task_id, [])
            hearing.broken += [f"{who} {what}" for what in _missing_in(story, timeline, may_miss_progress)]
        hearing.duplicated += sum(seen.is_end for seen in story.seen) > 1
        if not story.is_slow:
            _measure(hearing, story)
    return hearing


def _wrong_with(story: Story) -> list[str]:
    wrong = []
    if story.errors:
        wrong.append(f"was refused: {story.errors}")
    ends = sum(seen.is_end for seen in story.seen)
    if ends != 1:
        wrong.append(f"saw {ends} ends")
    if not story.completed and story.cut_off is None:
        wrong.append("was not told that this was all")
    for _, seen in groupby(story.seen, key=attrgetter("connection")):
        wrong += _wrong_in_order(list(seen))
    return wrong


def _wrong_in_order(seen: Sequence[Seen]) -> list[str]:
    """Check what one connection brought: ids rise strictly, and no bar goes back within an attempt."""
    wrong = [f"saw {b.cursor} after {a.cursor}" for a, b in pairwise(seen) if b.cursor <= a.cursor]
    bars = [one for one in seen if one.current is not None]
    for earlier, later in pairwise(bars):
        assert earlier.current is not None
        assert later.current is not None
        if earlier.attempt == later.attempt and later.current < earlier.current:
            wrong.append(f"saw the bar fall from {earlier.current} to {later.current}")
    return wrong


def _missing_in(story: Story, timeline: Sequence[TimelineEntry], may_miss_progress: bool) -> list[str]:
    """Check what is promised to who wants every event: nothing twice, and no change of status left out."""
    wrong = [
        f"saw {later.cursor} after {earlier.cursor} on its next connection"
        for earlier, later in pairwise(story.seen)
        if earlier.connection != later.connection and later.cursor <= earlier.cursor
    ]
    if not may_miss_progress:
        honest = _deaths(timeline)
        wrong += [f"was told of a gap at {one.cursor}" for one in story.seen if one.is_gap and one.cursor not in honest]
    told = {(seen.cursor, seen.status) for seen in story.seen}
    return wrong + [
        f"did not see {entry.status} at {entry.cursor}"
        for entry in timeline
        if (entry.cursor, entry.status) not in told
    ]


def _deaths(timeline: Sequence[TimelineEntry]) -> set[Cursor]:
    """Return where a gap is honest after a worker's death: nobody else knows what it said last, before the takeover."""
    return {
        Cursor(later.epoch, 0)
        for earlier, later in pairwise(timeline)
        if earlier.status in HELD and later.n == 1 and later.by != earlier.by
    }


def _measure(hearing: Hearing, story: Story) -> None:
    """Take the age of each progress when it came first, but for what was said before its connection told anything."""
    known: set[str] = set()
    for _, connection in groupby(story.seen, key=attrgetter("connection")):
        seen_here = list(connection)
        for seen in seen_here:
            if seen.message is None or seen.message in known:
                continue
            known.add(seen.message)
            if float(seen.message) >= seen_here[0].at:
                ages = hearing.live_s if seen.delivery is Delivery.LIVE else hearing.degraded_s
                ages.append(seen.at - float(seen.message))
