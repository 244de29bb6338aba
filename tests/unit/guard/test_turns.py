"""Work in turns: one piece at a time, in the order it came, and others between."""

import asyncio

import pytest

from gateway.guard.turns import Turns


async def test_others_run_between_two_pieces_of_work() -> None:
    turns, done = Turns(), list[str]()

    async def work(name: str) -> None:
        async with turns.take():
            done.append(name)

    def look_around() -> None:
        if len(done) < 7:
            done.append("other")
            loop.call_soon(look_around)

    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(work(name))
        loop.call_soon(look_around)
    assert [name for name in done if name != "other"] == ["a", "b", "c"]
    assert all("other" in done[done.index(one) : done.index(other)] for one, other in ("ab", "bc"))


async def test_turn_of_one_who_left_goes_to_the_next() -> None:
    turns = Turns()

    async def work() -> bool:
        async with turns.take():
            return True

    async with turns.take():
        gone = asyncio.create_task(work())
        next_one = asyncio.create_task(work())
        await asyncio.sleep(0)
        gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await next_one
