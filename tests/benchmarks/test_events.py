"""What an event takes on its way to followers: told by the worker, heard by the relay, rendered for who follows."""

from itertools import count

import orjson

from core.clock import utc_now
from core.events import Cursor, Progressed, decode_notice, encode_event, encode_notice
from core.ids import new_id
from core.states import Delivery
from gateway.frames import Frames
from gateway.operations import Operations
from gateway.relay.fold import fold
from gateway.relay.history import Told
from gateway.relay.watch import Watch
from gateway.schema.task_events import TaskEventView
from gateway.transports.request import GraphQLRequest
from loadtest.bench.events import DOCUMENT, EPOCH, running_task
from loadtest.bench.in_process import CONTEXT, LIMITS, SCHEMA
from tests.benchmarks.conftest import Timed

PROGRESSED = Progressed(utc_now(), 1, 5, 10)
NEXT = Cursor(EPOCH, 2)


def test_rendering_an_event(timed: Timed) -> None:
    operations, frames, numbers = Operations(SCHEMA, LIMITS), Frames(LIMITS.max_response_bytes), count(2)
    prepared = operations.prepare(GraphQLRequest(DOCUMENT))
    for _ in range(2):  # The first subscription runs without a plan.
        execution = operations._begin(prepared, {"id": str(new_id())}, None, CONTEXT)

    def render() -> bytes:
        told = Told(Cursor(EPOCH, next(numbers)), PROGRESSED, Delivery.LIVE)
        payload = frames.payload(execution, told, TaskEventView, None)
        assert payload is not None
        return payload

    event = orjson.loads(timed("event: render for its followers", render))["data"]["taskEvents"]
    assert event["progress"]["current"] == PROGRESSED.current


def test_encoding_an_event(timed: Timed) -> None:
    notice = timed("event: encode for Redis", lambda: encode_notice(NEXT, encode_event(PROGRESSED)))
    assert decode_notice(notice) == (NEXT, PROGRESSED)


def test_decoding_an_event(timed: Timed) -> None:
    notice = encode_notice(NEXT, encode_event(PROGRESSED))
    assert timed("relay: decode an event", lambda: decode_notice(notice)) == (NEXT, PROGRESSED)


def test_moving_a_task_on(timed: Timed) -> None:
    task = running_task(new_id())
    assert timed("relay: move a task on by an event", lambda: fold(task, NEXT, PROGRESSED)).cursor == NEXT


def test_hearing_an_event(timed: Timed) -> None:
    task, numbers = running_task(new_id()), count(2)
    watch = Watch(task.id, "channel")
    watch.take(task)
    timed("relay: hear an event of a watched task", lambda: watch.hear(Cursor(EPOCH, next(numbers)), PROGRESSED))
    assert watch.task.progress.current == PROGRESSED.current
