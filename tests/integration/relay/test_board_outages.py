"""What boards tell while Redis or MongoDB is away, and when events are lost."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from core.connections import open_mongo
from core.documents import Task
from core.settings import Settings
from core.states import Delivery, TaskStatus
from core.streams import EventStreams
from core.transitions import queued
from gateway.relay import Relay
from tests.integration.relay.boards import Board, open_board
from tests.integration.relay.conftest import Server, Submit, eventually
from tests.integration.relay.test_outages import until_delivery
from tests.integration.relay.writer import Writer

WITHIN_A_LOOK_S = 3.5


def latest_delivery(board: Board) -> Delivery:
    """Return how the latest word came."""
    return board[-1].delivery


async def test_without_redis_a_board_is_degraded_and_still_exact(
    own_relay: Relay, valkey: Server, own_submit: Submit
) -> None:
    writers = [await own_submit() for _ in range(20)]
    async with open_board(own_relay) as board, open_board(own_relay, TaskStatus.RUNNING) as running:
        for writer in writers:
            await writer.claim()
        for writer in writers:
            await running.until_status(writer.task_id, TaskStatus.RUNNING)
        assert latest_delivery(board) is Delivery.LIVE

        await valkey.kill()
        await until_delivery(own_relay, Delivery.DEGRADED)
        first, *others = writers
        first.progressed(7)
        await first.save_progress()
        await board.until(first.task_id, lambda snapshot: snapshot.task.progress.current == 7)
        assert latest_delivery(board) is Delivery.DEGRADED
        ends = [await writer.store(writer.succeeded()) for writer in others]
        for writer in others:
            await board.until_status(writer.task_id, TaskStatus.SUCCEEDED, WITHIN_A_LOOK_S)
            await running.until_status(writer.task_id, TaskStatus.SUCCEEDED, WITHIN_A_LOOK_S)
        assert latest_delivery(board) is Delivery.DEGRADED

        await valkey.start()
        await until_delivery(own_relay, Delivery.LIVE)
        for writer, end in zip(others, ends, strict=True):
            await writer.tell(end)
        await first.progress(8)
        await board.until(first.task_id, lambda snapshot: snapshot.task.progress.current == 8)
        await first.progress(9)
        await board.until(first.task_id, lambda snapshot: snapshot.task.progress.current == 9)
        assert latest_delivery(board) is Delivery.LIVE
        await first.fail()
        await running.until_status(first.task_id, TaskStatus.FAILED)
        await board.until_status(first.task_id, TaskStatus.FAILED)


async def test_a_board_opened_without_redis_tells_what_happens(
    own_relay: Relay, valkey: Server, own_submit: Submit
) -> None:
    writer = await own_submit()
    await valkey.kill()
    await until_delivery(own_relay, Delivery.DEGRADED)
    async with open_board(own_relay, TaskStatus.RUNNING) as board:
        await writer.store(writer.claimed())
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        await valkey.start()
        await until_delivery(own_relay, Delivery.LIVE)
        await writer.succeed()
        await board.until_status(writer.task_id, TaskStatus.SUCCEEDED)


async def test_a_redis_that_says_nothing_loses_no_end(own_relay: Relay, valkey: Server, own_submit: Submit) -> None:
    writer = await own_submit()
    async with open_board(own_relay) as board:
        await writer.claim()
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        valkey.signal(signal.SIGSTOP)
        try:
            await writer.store(writer.succeeded())
            await board.until_status(writer.task_id, TaskStatus.SUCCEEDED, WITHIN_A_LOOK_S)
        finally:
            valkey.signal(signal.SIGCONT)


async def test_lost_events_are_repaired_by_the_next_look(relay: Relay, submit: Submit) -> None:
    async with open_board(relay) as board:
        known, unknown = await submit(), await submit()
        await known.claim()
        await board.until_status(known.task_id, TaskStatus.RUNNING)
        known.progressed(3)
        await known.save_progress()
        await board.until(known.task_id, lambda snapshot: snapshot.task.progress.current == 3, WITHIN_A_LOOK_S)
        for writer in (known, unknown):
            await writer.store(writer.claimed() if writer is unknown else writer.succeeded())
        await board.until_status(known.task_id, TaskStatus.SUCCEEDED, WITHIN_A_LOOK_S)
        await board.until_status(unknown.task_id, TaskStatus.RUNNING, WITHIN_A_LOOK_S)


async def test_progress_after_a_lost_state_tells_the_state_at_once(relay: Relay, submit: Submit) -> None:
    async with open_board(relay) as board:
        writer = await submit()
        await writer.claim()
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        await writer.store(writer.cancelling())
        await writer.progress(5)
        await board.until_status(writer.task_id, TaskStatus.CANCELLING, within_s=0.8)
        await board.until(writer.task_id, lambda snapshot: snapshot.task.progress.current == 5, within_s=0.8)


async def test_an_end_that_lands_with_a_moment_of_long_ago_is_told(relay: Relay, submit: Submit) -> None:
    """Its writer waited for MongoDB, and nobody heard the event."""
    async with open_board(relay) as board:
        writer = await submit()
        await writer.claim()
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        end = writer.succeeded()
        end.changes["status_at"] -= timedelta(hours=1)
        await writer.store(end)
        await board.until_status(writer.task_id, TaskStatus.SUCCEEDED, WITHIN_A_LOOK_S)


async def test_more_changes_than_one_page_are_all_found(
    relay: Relay, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.relay.board_queries.PAGE", 7)
    monkeypatch.setattr("gateway.relay.board_feed.READ_AT_ONCE", 3)
    monkeypatch.setattr("gateway.relay.board_feed.COMPARED", 0)
    async with open_board(relay) as board:
        writers = [await submit() for _ in range(40)]
        changes = [queued(writer.task_id, 1, by="bridge") for writer in writers]
        for change in changes:  # All of one moment.
            change.changes["status_at"] = changes[0].changes["status_at"]
        await Task.get_pymongo_collection().bulk_write([change.operation() for change in changes])
        for writer in writers:
            await board.until_status(writer.task_id, TaskStatus.QUEUED)


@pytest.fixture
async def mongoless(redis: Redis, mongodb: Server, settings: Settings) -> AsyncIterator[Relay]:
    """A replica's relay on a MongoDB that may be killed."""
    its_settings = settings.model_copy(update={"mongo_url": mongodb.url})
    mongo = await open_mongo(its_settings)
    async with Relay(redis, EventStreams(redis, settings.namespace), settings.namespace) as relay:
        yield relay
        assert relay.boards.subscribers == 0
    await mongo.close()


async def test_an_end_while_mongodb_restarts_is_told(
    mongoless: Relay, mongodb: Server, redis: Redis, settings: Settings
) -> None:
    writer, late = [await Writer.submit(redis, settings.namespace) for _ in range(2)]
    async with open_board(mongoless) as board:
        await writer.claim()
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        await writer.progress(1)
        await board.until(writer.task_id, lambda snapshot: snapshot.task.progress.current == 1)
        end = await writer.store(writer.succeeded())
        late_claim = await late.store(late.claimed())
        await mongodb.stop()
        await writer.tell(end)
        await late.tell(late_claim)
        await late.progress(9)
        async with open_board(mongoless) as second:
            await asyncio.wait_for(mongodb.start(), 30)
            for each in (board, second):
                await each.until_status(writer.task_id, TaskStatus.SUCCEEDED, 20)
                await each.until_status(late.task_id, TaskStatus.RUNNING, 20)
            await eventually(lambda: board.of(late.task_id)[-1].task.progress.current == 9)
