"""Cancelling tasks that no worker process runs: every status, every race, every refusal."""

import asyncio
import time
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from core.clock import utc_now
from core.documents import Task
from core.errors import NotFound
from core.events import Cursor, StateChanged
from core.messages import cancel_channel
from core.settings import Settings
from core.states import TERMINAL, UNCLAIMED, TaskStatus
from core.streams import EventStreams
from core.transition import Transition
from core.transitions import queued, requeued
from gateway import cancel
from gateway.cancel import Canceller
from gateway.schema.control import canceller
from tests.integration.control.conftest import CANCEL, Store, claim, stored
from tests.integration.gateway_schema.asking import Gateway

RACES = 200


def of(gateway: Gateway) -> Canceller:
    """Return the replica's canceller."""
    return canceller(gateway.services)


@pytest.mark.parametrize("status", sorted(UNCLAIMED))
async def test_unclaimed_task_is_cancelled_in_the_answer_and_told(
    gateway: Gateway, store: Store, redis: Redis, settings: Settings, status: TaskStatus
) -> None:
    task = await store(status)
    answer = (await gateway.get(CANCEL, id=str(task.id), reason="no longer needed"))["cancelTask"]
    assert (answer["status"], answer["cancelReason"], answer["cursor"]) == ("CANCELLED", "no longer needed", "2-1")
    assert answer["timeline"][-1] == {"status": "CANCELLED", "by": "gateway", "reason": "no longer needed"}
    ended = await stored(task)
    assert (ended.status, ended.epoch) == (TaskStatus.CANCELLED, 2)
    assert ended.finished_at is not None
    assert ended.expire_at is not None
    ((cursor, event),) = await EventStreams(redis, settings.namespace).read(task.id, Cursor(0, 0))
    assert cursor == Cursor(2, 1)
    assert isinstance(event, StateChanged)
    assert (event.status, event.reason) == (TaskStatus.CANCELLED, "no longer needed")


@pytest.mark.parametrize("status", sorted(TERMINAL))
async def test_ended_task_is_returned_unchanged(gateway: Gateway, store: Store, status: TaskStatus) -> None:
    task = await store(status)
    answer = (await gateway.get(CANCEL, id=str(task.id), reason="too late"))["cancelTask"]
    assert (answer["status"], answer["cancelReason"]) == (status, None)
    assert await stored(task) == task


async def test_held_task_gets_the_intent_before_its_holder_hears_of_it(
    gateway: Gateway, store: Store, redis: Redis, settings: Settings
) -> None:
    task = await store()
    assert await claim(task)
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(cancel_channel(settings.namespace))
        assert (await pubsub.get_message(timeout=5) or {})["type"] == "subscribe"
        answer = (await gateway.get(CANCEL, id=str(task.id), reason="first"))["cancelTask"]
        heard = await pubsub.get_message(timeout=5)
    assert (answer["status"], answer["cancelReason"], answer["cursor"]) == ("RUNNING", "first", "2-1")
    assert heard is not None
    assert heard["data"].decode() == str(task.id)
    assert (await stored(task)).cancel_requested_at is not None

    again = (await gateway.get(CANCEL, id=str(task.id), reason="second"))["cancelTask"]
    assert again == answer


async def test_intent_stands_while_redis_is_away(gateway: Gateway, store: Store, settings: Settings) -> None:
    task, waiting = await store(), await store()
    assert await claim(task)
    dead = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    cut_off = Canceller(dead, EventStreams(dead, settings.namespace), settings.namespace)
    await cut_off.cancel(task.id, "anyway", visible={"owner": "local"})
    await cut_off.cancel(waiting.id, "anyway", visible={"owner": "local"})
    await dead.aclose()
    assert (await stored(task)).cancel_reason == "anyway"
    assert (await stored(waiting)).status is TaskStatus.CANCELLED


async def test_cancel_is_answered_while_redis_says_nothing(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "TELL_WAIT_S", 0.25)
    task = await store()
    assert await claim(task)
    heard = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        heard.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    silent = Redis(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    cut_off = Canceller(silent, EventStreams(silent, settings.namespace), settings.namespace)
    async with asyncio.timeout(10):
        await cut_off.cancel(task.id, "anyway", visible={"owner": "local"})
    assert heard.is_set()
    assert (await stored(task)).cancel_reason == "anyway"
    await silent.aclose()
    server.close()


async def test_unknown_foreign_and_malformed_ids_are_refused(gateway: Gateway, store: Store) -> None:
    task = await store()
    assert (await gateway.ask(CANCEL, id=str(uuid4()))).code == "NOT_FOUND"
    assert (await gateway.of("someone else").ask(CANCEL, id=str(task.id))).code == "NOT_FOUND"
    assert (await gateway.ask(CANCEL, id="x")).code == "BAD_USER_INPUT"
    assert await stored(task) == task


async def test_reason_is_bounded(gateway: Gateway, store: Store) -> None:
    task = await store()
    for reason in ("x" * 501, "\ud800"):
        answer = await gateway.ask(CANCEL, id=str(task.id), reason=reason)
        assert answer.code == "BAD_USER_INPUT"
        assert answer.errors[0]["extensions"]["field"] == "reason"
    assert (await stored(task)).status is TaskStatus.PENDING
    answer_ok = await gateway.get(CANCEL, id=str(task.id), reason="x" * 500)
    assert answer_ok["cancelTask"]["status"] == "CANCELLED"


async def test_cancel_racing_a_claim_loses_neither_the_task_nor_the_cancel(gateway: Gateway, store: Store) -> None:
    cancels = of(gateway)
    started = time.monotonic()
    for _ in range(5):
        await cancels.cancel((await store()).id, None, visible={"owner": "local"})
    usual_s = (time.monotonic() - started) / 5

    async def claim_after(task: Task, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        await claim(task)

    won = 0
    for number in range(RACES):
        task = await store(TaskStatus.QUEUED if number % 2 else TaskStatus.PENDING)
        moment_s = usual_s * 2 * number / RACES  # From before the cancel's read to after its write.
        await asyncio.gather(cancels.cancel(task.id, "race", visible={"owner": "local"}), claim_after(task, moment_s))
        ended = await stored(task)
        is_running = ended.status is TaskStatus.RUNNING
        entries = 2 + (is_running and task.status is TaskStatus.PENDING)  # Its claim stores that it was queued, too.
        assert (ended.cancel_reason, ended.epoch, len(ended.timeline)) == ("race", 2, entries)
        if is_running:
            assert ended.cancel_requested_at is not None
            won += 1
        else:
            assert ended.status is TaskStatus.CANCELLED
    assert 0 < won < RACES, "the race never went both ways, so this shows nothing"


async def test_claim_between_the_cancel_s_read_and_its_write_turns_it_into_an_intent(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await store(TaskStatus.QUEUED)
    change = cancel._change
    lost = []

    async def claimed_first(transition: Transition) -> Task | None:
        assert await claim(task)
        result = await change(transition)
        lost.append(result)
        return result

    monkeypatch.setattr(cancel, "_change", claimed_first)
    after = await of(gateway).cancel(task.id, "race", visible={"owner": "local"})
    assert lost == [None]
    assert (after.status, after.cancel_reason) == (TaskStatus.RUNNING, "race")
    assert after.cancel_requested_at is not None


async def test_cancel_that_loses_every_race_says_so(
    gateway: Gateway, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await store()

    async def lost(_transition: Transition) -> None:
        return None

    monkeypatch.setattr(cancel, "_change", lost)
    assert (await gateway.ask(CANCEL, id=str(task.id))).code == "CONFLICT"
    assert await stored(task) == task


async def test_cancel_racing_the_bridge_s_mark_ends_the_task(gateway: Gateway, store: Store) -> None:
    for _ in range(30):
        task = await store()
        mark = queued(task.id, 1, by="bridge")
        await asyncio.gather(
            Task.get_pymongo_collection().update_one(mark.filter, mark.update),
            of(gateway).cancel(task.id, None, visible={"owner": "local"}),
        )
        assert (await stored(task)).status is TaskStatus.CANCELLED


async def test_cancel_racing_a_takeover_ends_or_marks_the_task(gateway: Gateway, store: Store) -> None:
    for _ in range(30):
        task = await store()
        assert await claim(task)
        back = requeued(task.id, 2, by="bridge", reason="its worker is dead", crashes=1)
        await asyncio.gather(
            Task.get_pymongo_collection().update_one(back.filter, back.update),
            of(gateway).cancel(task.id, None, visible={"owner": "local"}),
        )
        after = await stored(task)
        assert after.status is TaskStatus.CANCELLED or (
            after.status is TaskStatus.QUEUED and after.cancel_requested_at is not None
        )


async def test_two_cancels_at_once_leave_one_end(gateway: Gateway, store: Store) -> None:
    for _ in range(20):
        task = await store()
        results = await asyncio.gather(
            *(of(gateway).cancel(task.id, why, visible={"owner": "local"}) for why in ("a", "b", "c"))
        )
        ended = await stored(task)
        assert [entry.status for entry in ended.timeline] == [TaskStatus.PENDING, TaskStatus.CANCELLED]
        assert {result.cancel_reason for result in results} == {ended.cancel_reason}


async def test_first_reason_stays_when_an_asked_task_is_no_longer_held(gateway: Gateway, store: Store) -> None:
    task = await store(TaskStatus.RETRYING, cancel_requested_at=utc_now(), cancel_reason="first")
    ended = await of(gateway).cancel(task.id, "second", visible={"owner": "local"})
    assert (ended.status, ended.cancel_reason, ended.timeline[-1].reason) == (TaskStatus.CANCELLED, "first", "first")


async def test_canceller_says_not_found_for_what_is_not_there(gateway: Gateway) -> None:
    with pytest.raises(NotFound):
        await of(gateway).cancel(uuid4(), None, visible={"owner": "local"})
