"""Boards on real services: what they tell while all is well, and that nothing is left when they are closed."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from uuid import UUID

import pytest
from redis.asyncio import Redis

from core.clock import utc_now
from core.connections import MongoClient
from core.documents import Task
from core.errors import BadUserInput, Unavailable
from core.settings import Settings
from core.states import Delivery, TaskStatus
from core.streams import EventStreams
from core.transitions import queued
from gateway.relay import Relay
from gateway.relay.board_slot import FellBehind
from tests.integration.relay.boards import open_board, shown
from tests.integration.relay.conftest import Submit, eventually
from tests.integration.relay.writer import Writer

ALL = 300


async def test_a_task_submitted_later_appears_and_moves_to_its_end(relay: Relay, submit: Submit) -> None:
    async with open_board(relay) as board:
        writer = await submit()
        await board.until_status(writer.task_id, TaskStatus.PENDING)
        await writer.queue()
        await writer.claim()
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        await writer.progress(40)
        await board.until(writer.task_id, lambda snapshot: snapshot.task.progress.current == 40, within_s=0.9)
        assert board[-1].delivery is Delivery.LIVE
        await writer.succeed()
        await board.until_status(writer.task_id, TaskStatus.SUCCEEDED)
    assert board[-1].task.progress.current == 40


async def test_a_task_that_leaves_the_filter_is_told_once_more(relay: Relay, submit: Submit) -> None:
    async with open_board(relay, TaskStatus.RUNNING) as running, open_board(relay) as everything:
        writer = await submit()
        await everything.until_status(writer.task_id, TaskStatus.PENDING)
        await writer.claim()
        await running.until_status(writer.task_id, TaskStatus.RUNNING)
        await writer.requeue()
        await running.until_status(writer.task_id, TaskStatus.QUEUED)
        other = await submit()
        await everything.until_status(other.task_id, TaskStatus.PENDING)
        await writer.claim()
        await running.until_status(writer.task_id, TaskStatus.RUNNING)
        await writer.fail()
        await running.until_status(writer.task_id, TaskStatus.FAILED)
    assert running.of(other.task_id) == []
    assert [snapshot.task.status for snapshot in running] == [
        TaskStatus.RUNNING,
        TaskStatus.QUEUED,
        TaskStatus.RUNNING,
        TaskStatus.FAILED,
    ]


async def test_a_task_that_passed_the_filter_between_two_rounds_is_told(relay: Relay, submit: Submit) -> None:
    """Its reader may have listed it in just that moment."""
    async with open_board(relay, TaskStatus.QUEUED) as board, open_board(relay) as everything:
        writer = await submit()
        await everything.until_status(writer.task_id, TaskStatus.PENDING)
        await writer.store(queued(writer.task_id, writer.cursor.epoch, by="bridge"))
        await writer.claim()
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        await writer.progress(1)
        await everything.until(writer.task_id, lambda snapshot: snapshot.task.progress.current == 1)
        assert len(board.of(writer.task_id)) == 1


async def test_a_board_begins_with_what_changed_shortly_before(relay: Relay, submit: Submit) -> None:
    running, ended, waiting = [await submit() for _ in range(3)]
    for writer in (running, ended):
        await writer.claim()
    await ended.succeed()
    async with open_board(relay, TaskStatus.RUNNING) as board:
        await board.until_status(running.task_id, TaskStatus.RUNNING)
        await board.until_status(ended.task_id, TaskStatus.SUCCEEDED)
        assert board.of(waiting.task_id) == []
        async with open_board(relay, TaskStatus.RUNNING) as second:
            await second.until_status(running.task_id, TaskStatus.RUNNING)
            await second.until_status(ended.task_id, TaskStatus.SUCCEEDED)
            assert second.of(waiting.task_id) == []
            assert {snapshot.delivery for snapshot in second} == {Delivery.LIVE}


async def test_what_did_not_change_of_late_is_not_told(relay: Relay, submit: Submit) -> None:
    old, fresh = [await submit() for _ in range(2)]
    before = utc_now() - timedelta(minutes=1)
    await Task.get_pymongo_collection().update_one({"_id": old.task_id}, {"$set": {"status_at": before}})
    async with open_board(relay) as board:
        await board.until_status(fresh.task_id, TaskStatus.PENDING)
    assert board.of(old.task_id) == []


async def test_progress_comes_no_more_often_than_asked_and_a_state_with_the_next_round(
    relay: Relay, submit: Submit
) -> None:
    writer = await submit()
    await writer.claim()
    loop = asyncio.get_running_loop()
    async with open_board(relay, max_hz=2) as board:
        await board.until_status(writer.task_id, TaskStatus.RUNNING)
        began = loop.time()
        while loop.time() < began + 2:
            await writer.progress(int((loop.time() - began) * 40))
            await asyncio.sleep(0.02)
        assert 3 <= len(board) <= 6
        assert board[-1].task.progress.current >= 40
        await writer.succeed()
        asked = loop.time()
        await board.until_status(writer.task_id, TaskStatus.SUCCEEDED)
        assert loop.time() - asked < 1.5


async def test_three_hundred_tasks_at_once_all_reach_their_end(relay: Relay, submit: Submit) -> None:
    async def run() -> Writer:
        writer = await submit()
        await writer.claim()
        for step in range(3):
            await writer.progress(step)
        await writer.succeed()
        return writer

    async with open_board(relay, max_hz=4) as board, open_board(relay, TaskStatus.RUNNING, max_hz=4) as running:
        writers = [writer for _ in range(ALL // 50) for writer in await asyncio.gather(*(run() for _ in range(50)))]
        ids = {writer.task_id for writer in writers}
        await eventually(lambda: board.ended() == ids and running.ended() == ids, 20)


async def test_boards_share_a_feed_and_the_last_one_leaves_nothing(relay: Relay, redis: Redis, submit: Submit) -> None:
    assert await redis.pubsub_numpat() == 0
    async with open_board(relay) as all_tasks:
        async with open_board(relay, TaskStatus.RUNNING) as running:
            writer = await submit()
            await writer.claim()
            await all_tasks.until_status(writer.task_id, TaskStatus.RUNNING)
            await running.until_status(writer.task_id, TaskStatus.RUNNING)
            assert await redis.pubsub_numpat() == 1
        assert relay.boards.subscribers == 1
        await writer.succeed()
        await all_tasks.until_status(writer.task_id, TaskStatus.SUCCEEDED)
    assert relay.boards.subscribers == 0
    await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("board: ")])
    await eventually(lambda: _nobody_listens(redis))


async def _nobody_listens(redis: Redis) -> bool:
    return bool(await redis.pubsub_numpat() == 0)


async def test_a_board_that_opens_as_the_last_one_closes_hears_all(relay: Relay, submit: Submit) -> None:
    for _ in range(3):
        async with open_board(relay) as board:
            writer = await submit()
            await writer.claim()
            await writer.succeed()
            await board.until_status(writer.task_id, TaskStatus.SUCCEEDED, within_s=1.5)


async def test_input_and_result_come_if_they_are_asked_for(relay: Relay, submit: Submit) -> None:
    async with open_board(relay, whole=True) as whole, open_board(relay) as slim:
        writer = await submit()
        await writer.claim()
        await writer.succeed()
        for board in (whole, slim):
            await board.until_status(writer.task_id, TaskStatus.SUCCEEDED)
    assert (whole[-1].task.input, whole[-1].task.result) == ({"data": "x"}, {"totalProcessed": 100})
    assert all(snapshot.task.result is None for snapshot in whole[:-1])
    assert (slim[-1].task.input, slim[-1].task.result) == ({}, None)


@pytest.mark.parametrize("max_hz", [0, -1, 60.1, float("nan"), float("inf")])
async def test_a_rate_out_of_range_is_refused(relay: Relay, max_hz: float) -> None:
    with pytest.raises(BadUserInput) as refused:
        relay.boards.follow(shown(), max_hz=max_hz, whole=False)
    assert refused.value.field == "maxHz"


async def test_a_subscriber_that_does_not_read_is_ended_and_the_others_go_on(
    relay: Relay, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.relay.board_slot.WAITING_LIMIT", 6)
    monkeypatch.setattr("gateway.relay.board_slot.CROWDED", 3)
    async with aclosing(relay.boards.follow(shown(), max_hz=60, whole=False)) as slow, open_board(relay) as quick:
        writers = [await submit()]
        assert (await anext(slow)).task.id == writers[0].task_id
        for _ in range(10):
            writers.append(await submit())
            await quick.until_status(writers[-1].task_id, TaskStatus.PENDING)
        with pytest.raises(FellBehind):
            await anext(slow)
        assert relay.boards.subscribers == 1
        await writers[0].claim()
        await quick.until_status(writers[0].task_id, TaskStatus.RUNNING)


async def test_a_reader_that_goes_on_is_waited_for(
    relay: Relay, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many changes at once come no faster than they are read."""
    writers = [await submit() for _ in range(60)]
    monkeypatch.setattr("gateway.relay.board_slot.WAITING_LIMIT", 12)
    monkeypatch.setattr("gateway.relay.board_slot.CROWDED", 6)
    monkeypatch.setattr("gateway.relay.board_feed.READ_AT_ONCE", 5)
    told: set[UUID] = set()

    async def read() -> None:
        async with aclosing(relay.boards.follow(shown(TaskStatus.QUEUED), max_hz=60, whole=False)) as board:
            while len(told) < len(writers):
                told.add((await anext(board)).task.id)
                await asyncio.sleep(0.01)

    reading = asyncio.create_task(read())
    await eventually(lambda: relay.boards.subscribers == 1)
    changes = [queued(writer.task_id, 1, by="bridge") for writer in writers]
    await Task.get_pymongo_collection().bulk_write([change.operation() for change in changes])
    await asyncio.wait_for(reading, 20)
    assert told == {writer.task_id for writer in writers}


async def test_a_replica_that_stops_says_so_to_its_boards(redis: Redis, settings: Settings, mongo: MongoClient) -> None:
    async with Relay(redis, EventStreams(redis, settings.namespace), settings.namespace) as leaving:
        waiting = asyncio.create_task(anext(leaving.boards.follow(shown(), max_hz=4, whole=False)))
        await eventually(lambda: leaving.boards.subscribers == 1)
    with pytest.raises(Unavailable):
        await waiting
    assert leaving.boards.subscribers == 0
