"""Reads of the same moment: who asks meanwhile shares the next one, and nobody is answered by one that began before."""

import asyncio

import pytest

from gateway.reads import SharedReads


class Source:
    """What is read: a number that is written, read at the beginning and told when it is let go."""

    def __init__(self) -> None:
        self.written = 0
        self.reads = 0
        self._may_end: list[asyncio.Event] = []

    async def read(self) -> int:
        """Return what was written when the read began."""
        found, may_end = self.written, asyncio.Event()
        self.reads += 1
        self._may_end.append(may_end)
        await may_end.wait()
        if found < 0:
            raise ValueError(found)
        return found

    def end(self) -> None:
        """Let the earliest read that is under way end."""
        self._may_end.pop(0).set()


async def settle() -> None:
    """Let everything that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_meanwhile_shares_the_next_read_and_sees_what_was_written_before() -> None:
    source, shared = Source(), SharedReads()
    first = asyncio.create_task(shared.share("a", source.read))
    await settle()
    source.written = 1
    others = [asyncio.create_task(shared.share("a", source.read)) for _ in range(5)]
    await settle()
    assert source.reads == 1
    source.end()
    await settle()
    source.written = 2
    later = [asyncio.create_task(shared.share("a", source.read)) for _ in range(2)]
    await settle()
    assert source.reads == 2
    source.end()
    await settle()
    source.end()
    assert [await one for one in (first, *others, *later)] == [0, 1, 1, 1, 1, 1, 2, 2]
    assert (source.reads, len(shared)) == (3, 0)


async def test_different_reads_do_not_wait_for_each_other() -> None:
    source, shared = Source(), SharedReads()
    asked = [asyncio.create_task(shared.share(key, source.read)) for key in ("a", "b", "c")]
    await settle()
    assert source.reads == 3
    for _ in asked:
        source.end()
    assert [await one for one in asked] == [0, 0, 0]
    assert len(shared) == 0


async def test_error_reaches_those_who_share_the_read_and_no_others() -> None:
    source, shared = Source(), SharedReads()
    first = asyncio.create_task(shared.share("a", source.read))
    await settle()
    source.written = -1
    others = [asyncio.create_task(shared.share("a", source.read)) for _ in range(2)]
    await settle()
    source.end()
    await settle()
    source.end()
    found = await asyncio.gather(first, *others, return_exceptions=True)
    assert found[0] == 0
    assert [type(one) for one in found[1:]] == [ValueError, ValueError]
    assert len(shared) == 0


@pytest.mark.parametrize("has_begun", [False, True])
async def test_somebody_else_reads_when_whoever_was_to_is_cancelled(*, has_begun: bool) -> None:
    source, shared = Source(), SharedReads()
    first = asyncio.create_task(shared.share("a", source.read))
    await settle()
    second = asyncio.create_task(shared.share("a", source.read))
    await settle()
    others = [asyncio.create_task(shared.share("a", source.read)) for _ in range(2)]
    await settle()
    if has_begun:
        source.end()
        await settle()
    second.cancel()
    await settle()
    while not all(one.done() for one in (first, *others)):
        source.end()
        await settle()
    assert [await one for one in (first, *others)] == [0, 0, 0]
    assert second.cancelled()
    assert len(shared) == 0


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_nothing_is_left_when_those_who_ask_are_cancelled(cancelled: int) -> None:
    source, shared = Source(), SharedReads()
    asked = []
    for _ in range(3):
        asked.append(asyncio.create_task(shared.share("a", source.read)))
        await settle()
    asked[cancelled].cancel()
    await settle()
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert len(shared) == 0
    again = asyncio.create_task(shared.share("a", source.read))
    await settle()
    source._may_end[-1].set()
    assert await again == 0
