"""An operation that is cancelled while its resolvers run."""

import asyncio
from inspect import CORO_CLOSED, getcoroutinestate

import pytest

from gateway.plans.execution import _all


async def _resolve() -> int:
    await asyncio.sleep(10)
    return 1


async def test_resolvers_that_were_not_begun_are_closed() -> None:
    begun = [_resolve() for _ in range(3)]
    running = asyncio.get_running_loop().create_task(_all(begun))
    asyncio.get_running_loop().call_soon(running.cancel)  # Between their tasks' being made and their first steps.
    with pytest.raises(asyncio.CancelledError):
        await running
    assert {getcoroutinestate(one) for one in begun} == {CORO_CLOSED}
