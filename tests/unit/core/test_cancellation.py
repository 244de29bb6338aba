"""A loop that swallows cancellations is ended all the same."""

import asyncio

from core.cancellation import cancel_until_done


async def test_task_that_swallows_cancellations_ends() -> None:
    swallowed = 0

    async def deaf() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed > 2:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await cancel_until_done([task])
    assert (task.cancelled(), swallowed) == (True, 3)


async def test_ended_tasks_are_left_alone() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await cancel_until_done([task])
    assert not task.cancelled()
