"""The follow path: how many messages a second one process tells its followers, and what each of them costs."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import orjson

from loadtest.bench.crowd import NEXT_WITHIN_S, Crowd, CrowdFailed, subscription
from loadtest.bench.events import BEFORE_FIRST, DOCUMENT, Feed

EVENTS_AT_ONCE = 50
"""Published by one write where each has few followers."""
MESSAGES_AHEAD = 2_000
"""Under way at a time, but at least two for each follower of an event, and at most so many for each of all:"""
EACH_AHEAD = 4
LOST_AFTER_S = 20.0
QUIET_S = 0.5
CAUGHT_UP_A_SECOND = 5_000
"""Followers who may still be told what they missed while they joined."""


@dataclass(frozen=True)
class Told:
    """How many messages followers heard, and how long that took from the first event on."""

    messages: int
    seconds: float


def join(crowd: Crowd, feed: Feed, task_ids: list[UUID], followers: int, others: Collection[Crowd]) -> None:
    """Have the followers of all tasks subscribe, and wait until each is told of its task. Raises CrowdFailed.

    Nothing says that a subscription has begun, so events are published until everybody has heard one. `others` answer
    pings meanwhile.
    """
    followed = [task_ids[number % len(task_ids)] for number in range(followers)]
    frames = {task_id: subscription(DOCUMENT, {"id": str(task_id), "after": BEFORE_FIRST}) for task_id in task_ids}
    crowd.open((frames[task_id] for task_id in followed), lambda: answer_pings(others))
    left, give_up = followers, time.monotonic() + NEXT_WITHIN_S
    while deaf := [task_id for task_id, one in zip(followed, crowd.followers, strict=True) if not one.heard]:
        if len(deaf) < left:
            left, give_up = len(deaf), time.monotonic() + NEXT_WITHIN_S
        elif time.monotonic() > give_up:
            raise CrowdFailed(f"{crowd.server}: {left} of {followers} followers heard nothing")
        feed.tell_each(list(set(deaf)))
        settle(crowd, others)
    settle(crowd, others, QUIET_S + followers / CAUGHT_UP_A_SECOND)
    check(crowd)


def settle(crowd: Crowd, others: Collection[Crowd] = (), quiet_s: float = QUIET_S) -> None:
    """Read on until nothing has come for a while. `others` answer pings meanwhile."""
    heard, since = crowd.heard, time.monotonic()
    while time.monotonic() - since < quiet_s:
        crowd.take(QUIET_S / 5)
        answer_pings(others)
        if crowd.heard != heard:
            heard, since = crowd.heard, time.monotonic()


def check(crowd: Crowd) -> None:
    """Look whether a follower is told all that was asked for. Raises CrowdFailed."""
    message = orjson.loads(crowd.sample)
    try:
        event = message["payload"]["data"]["taskEvents"]
        told = event["progress"]
        assert message["type"] == "next"
        assert event.keys() == {"cursor", "at", "attempt", "progress"}
        assert told.keys() == {"current", "total", "percent", "message"}
        assert told["message"] == f"step {told['current']}"
    except (KeyError, TypeError, AssertionError) as exc:
        raise CrowdFailed(f"{crowd.server}: expected an event, got {message}") from exc


def turn(crowd: Crowd, feed: Feed, seconds: float, each_ahead: int = EACH_AHEAD) -> Told:
    """Publish for so long, as fast as followers hear of it, and wait for the rest. Raises CrowdFailed."""
    ahead = max(2 * feed.followers, min(MESSAGES_AHEAD, each_ahead * feed.told * feed.followers))
    events = max(1, min(EVENTS_AT_ONCE, ahead // feed.followers // 2))
    before, expected = crowd.heard, 0
    started = last = time.perf_counter()
    while last - started < seconds:
        while expected - (crowd.heard - before) <= ahead - events * feed.followers:
            expected += feed.tell(events)
        crowd.take(0.01)
        last = time.perf_counter()
    heard = crowd.heard
    while crowd.heard - before < expected:
        crowd.take(0.1)
        if crowd.heard != heard:
            heard, last = crowd.heard, time.perf_counter()
        elif time.perf_counter() - last > LOST_AFTER_S:
            raise CrowdFailed(f"{crowd.server}: {expected - heard + before:,} of {expected:,} messages never came")
    if crowd.heard - before > expected:
        raise CrowdFailed(f"{crowd.server}: {crowd.heard - before - expected:,} messages more than were to come")
    return Told(expected, last - started)


def answer_pings(crowds: Collection[Crowd]) -> None:
    """Let followers that are not measured now show that they are there."""
    for crowd in crowds:
        crowd.take(0)
