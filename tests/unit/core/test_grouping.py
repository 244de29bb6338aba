"""Calls that come while a flush is under way share the next one."""

import asyncio

import pytest

from core.grouping import GroupCommit


async def test_concurrent_calls_share_flushes_and_get_their_own_results() -> None:
    batches: list[list[int]] = []

    async def flush(items: list[int]) -> list[int]:
        batches.append(items)
        await asyncio.sleep(0)
        return [item * 10 for item in items]

    group = GroupCommit(flush, name="test", limit=4)
    results = await asyncio.gather(*(group.submit(number) for number in range(10)))
    assert results == [number * 10 for number in range(10)]
    assert [len(batch) for batch in batches] == [4, 4, 2]


async def test_failure_reaches_every_caller_of_its_batch_and_no_other() -> None:
    async def flush(items: list[int]) -> list[int]:
        if 1 in items:
            raise OSError("away")
        return items

    group = GroupCommit(flush, name="test")
    first = await asyncio.gather(group.submit(1), group.submit(2), return_exceptions=True)
    assert [type(result) for result in first] == [OSError, OSError]
    assert await group.submit(3) == 3


async def test_hopeless_failure_reaches_whoever_joined_meanwhile_and_a_later_call_is_tried() -> None:
    batches: list[list[int]] = []

    async def flush(items: list[int]) -> list[int]:
        batches.append(items)
        await asyncio.sleep(0)
        if len(batches) == 1:
            raise TimeoutError("silent")
        return items

    group = GroupCommit(flush, name="test", limit=2, hopeless=(TimeoutError,))
    results = await asyncio.gather(*(group.submit(number) for number in range(6)), return_exceptions=True)
    assert [type(result) for result in results] == [TimeoutError] * 6
    assert batches == [[0, 1]]
    assert await group.submit(7) == 7


async def test_cancelled_caller_leaves_its_item_to_be_flushed() -> None:
    flushed: list[int] = []
    go = asyncio.Event()

    async def flush(items: list[int]) -> list[int]:
        await go.wait()
        flushed.extend(items)
        return items

    group = GroupCommit(flush, name="test")
    caller = asyncio.create_task(group.submit(1))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go.set()
    await group.aclose()
    assert flushed == [1]


async def test_items_submitted_together_give_their_results_in_order_whatever_batch_they_are_in() -> None:
    batches: list[int] = []

    async def flush(items: list[int]) -> list[int]:
        batches.append(len(items))
        if 7 in items:
            raise OSError("away")
        return [item * 10 for item in items]

    group = GroupCommit(flush, name="test", limit=2)
    assert await group.submit_all([3, 1, 2]) == [30, 10, 20]
    assert batches == [2, 1]
    with pytest.raises(OSError, match="away"):
        await group.submit_all([5, 6, 7, 8])


async def test_gathering_group_flushes_once_for_what_comes_meanwhile() -> None:
    batches: list[list[int]] = []

    async def flush(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    group = GroupCommit(flush, name="test", gather_s=0.05)

    async def late() -> int:
        await asyncio.sleep(0)
        return await group.submit(2)

    assert list(await asyncio.gather(group.submit(1), late())) == [1, 2]
    assert batches == [[1, 2]]


@pytest.mark.parametrize(("together", "expected"), [(4, [4, 2]), (1, [1, 1, 1])])
async def test_flush_that_several_shared_gives_the_next_a_moment_for_more(together: int, expected: list[int]) -> None:
    sizes: list[int] = []

    async def flush(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return items

    group = GroupCommit(flush, name="test", pause_s=0.05)
    await asyncio.gather(*(group.submit(number) for number in range(together)))
    early = asyncio.create_task(group.submit(10))
    await asyncio.sleep(0.01)
    late = asyncio.create_task(group.submit(11))
    await asyncio.gather(early, late)
    assert sizes == expected
