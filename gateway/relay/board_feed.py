"""What all boards of this replica hear by: the channels of all tasks, and a look at what MongoDB says has changed."""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

import msgspec

from core.clock import utc_now
from core.documents import Task
from core.errors import BadUserInput, Unavailable
from core.events import decode_notice
from core.states import Delivery
from core.telemetry import get_logger
from gateway.relay import board_queries
from gateway.relay.board_slot import Slot
from gateway.relay.board_tasks import BoardTasks, statuses_since
from gateway.relay.channels import Channels
from gateway.relay.snapshot import Snapshot

log = get_logger(__name__)
LOOK_EVERY_S = 2.0
DEGRADED_LOOK_EVERY_S = 1.0
OVERLAP_S = 5.0
"""A look goes back so far behind the one before: clocks differ by up to 1 s, and a write lands after its moment."""
READ_AT_ONCE = 100
READ_EVERY_S = 0.05
COMPARED = 200
"""Known tasks of which each look asks how they stand, in turn, whenever they may have changed."""
ROOM_WAIT_S = 0.2
"""How long reading waits for subscribers that many tasks wait for: a large batch must not overrun a quick one."""
CONFIRM_S = 2.0


class Feed:
    """From the first board's opening to the last one's closing; then there is another. Its slots are those served."""

    def __init__(self, channels: Channels, pattern: str) -> None:
        self.slots: set[Slot] = set()
        self._channels = channels
        self._pattern = pattern
        self._tasks = BoardTasks()
        self._new: set[Slot] = set()
        self._news = asyncio.Event()
        self._doubts = asyncio.Event()
        self._look_now = asyncio.Event()
        self._reading = asyncio.Lock()
        self._since = utc_now() - timedelta(seconds=OVERLAP_S)
        self._hold_until = self._since
        self._answered = asyncio.Event()
        """Set once Redis has confirmed the pattern, or is away."""
        self._stopping = False
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Listen and look until `stop`."""
        self._channels.want_all(self._pattern, self)
        self._loops = [
            asyncio.create_task(self._tell_forever(), name="board: tell"),
            asyncio.create_task(self._read_forever(), name="board: read"),
            asyncio.create_task(self._look_forever(), name="board: look"),
        ]

    def stop(self) -> Sequence[asyncio.Task[None]]:
        """Leave the channels; return what is still to end. The loops look, too: a driver may swallow the cancelling."""
        self._channels.drop_all(self._pattern)
        self._stopping = True
        for loop in self._loops:
            loop.cancel()
        return self._loops

    def join(self, slot: Slot) -> None:
        """Serve the slot from here on, beginning with what changed shortly before."""
        self.slots.add(slot)
        self._new.add(slot)
        self._look_now.set()

    def leave(self, slot: Slot) -> None:
        """Serve the slot no more."""
        self.slots.discard(slot)
        self._new.discard(slot)

    @property
    def delivery(self) -> Delivery:
        """How the news comes at present."""
        return Delivery.LIVE if self._channels.is_confirmed(self._pattern) else Delivery.DEGRADED

    def heard(self, channel: str, data: bytes) -> None:
        """Take an event of any task."""
        try:
            task_id = UUID(channel[len(self._pattern) - 1 :])
            cursor, event = decode_notice(data)
        except (ValueError, BadUserInput, msgspec.MsgspecError) as exc:
            log.warning("An event is unreadable and left out.", channel=channel, reason=str(exc))
            return
        if self._tasks.hear(task_id, cursor, event):
            self._news.set()
            if self._tasks.has_doubts:
                self._doubts.set()

    def confirmed(self, channel: str) -> None:
        """Let the first look begin; what was not heard before is found by the next one."""
        self._answered.set()

    def lost(self) -> None:
        """Go on by looking alone."""
        self._answered.set()
        self._look_now.set()

    @property
    def _period_s(self) -> float:
        """How often there is anybody to tell: the time of the subscriber with the shortest rounds."""
        return min((slot.period_s for slot in self.slots), default=1.0)

    async def _tell_forever(self) -> None:
        """Tell of progress in time, however long MongoDB takes for what has to be read."""
        while not self._stopping:
            await self._news.wait()
            self._news.clear()
            await self._tried(self._tell_all())
            await asyncio.sleep(self._period_s)

    async def _read_forever(self) -> None:
        while not self._stopping:
            await self._doubts.wait()
            self._doubts.clear()
            if await self._tried(self._read_doubtful()):
                await asyncio.sleep(READ_EVERY_S)
            else:
                self._doubts.set()
                await asyncio.sleep(DEGRADED_LOOK_EVERY_S)

    async def _look_forever(self) -> None:
        if self._channels.up.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_S):
                    await self._answered.wait()
        while not self._stopping:
            self._look_now.clear()
            began, new = utc_now(), set(self._new)
            if not await self._tried(self._look(new)):
                # A write that had to wait for MongoDB, too, lands later, with a moment from before.
                self._hold_until = began + timedelta(seconds=OVERLAP_S)
            else:
                self._new -= new
                for slot in new:
                    slot.introduced()
                if began >= self._hold_until:
                    self._since = began - timedelta(seconds=OVERLAP_S)
            await self._tried(self._tell_all())
            for slot in new:
                slot.begin()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if self.delivery is Delivery.LIVE else DEGRADED_LOOK_EVERY_S):
                    await self._look_now.wait()

    async def _tried(self, work: Awaitable[None]) -> bool:
        try:
            await work
        except Unavailable:
            log.debug("MongoDB does not answer the board.")
            return False
        except Exception:
            log.exception("The board's feed met a bug; it goes on with the next turn.")
            return False
        return True

    async def _look(self, new: Collection[Slot]) -> None:
        """Find what was not heard of, and tell the new slots what changed since they came, heard of or not."""
        since = min(self._since, *(slot.since for slot in new)) if new else self._since
        await self._take_in(await board_queries.progressed_since(since), new)
        taken: set[UUID] = set()
        while page := await board_queries.changed_since(since, taken):
            await self._take_in(page, new)
            if page[-1].at > since:
                since, taken = page[-1].at, set()
            taken.update(task_id for task_id, _, at in page if at == since)
        await self._take_in(await board_queries.positions(self._tasks.longest_still(COMPARED)), ())

    async def _take_in(self, seen: Sequence[board_queries.Seen], new: Collection[Slot]) -> None:
        for start in range(0, len(seen), READ_AT_ONCE):
            chunk = seen[start : start + READ_AT_ONCE]
            for task_id, position, _ in chunk:
                if self._tasks.is_news(task_id, position):
                    self._tasks.doubt(task_id)
            await self._read_doubtful()
            if new:
                await self._introduce(new, [task_id for task_id, _, _ in chunk])
            await self._room()

    async def _room(self) -> None:
        """Let subscribers read for whom many tasks wait; one that reads nothing meanwhile is not waited for again."""
        crowded = {slot: slot.handed_out for slot in self.slots if not slot.roomy.is_set()}
        with suppress(TimeoutError):
            async with asyncio.timeout(ROOM_WAIT_S):
                for slot in crowded:
                    await slot.roomy.wait()
        for slot, handed_out in crowded.items():
            if slot.handed_out == handed_out:
                slot.roomy.set()

    async def _introduce(self, new: Collection[Slot], task_ids: Sequence[UUID]) -> None:
        known = [task for task_id in task_ids if (task := self._tasks.known(task_id)) is not None]
        self._offer_new(new, known)
        at_hand = {task.id for task in known}
        others = [task_id for task_id in task_ids if task_id not in at_hand]
        if others:
            self._offer_new(new, await board_queries.read(others))

    def _offer_new(self, new: Collection[Slot], tasks: Iterable[Task]) -> None:
        delivery = self.delivery
        for task in tasks:
            snapshot = Snapshot(task, delivery)
            for slot in new:
                slot.offer(snapshot, partial(statuses_since, task, None, slot.since))

    async def _read_doubtful(self) -> None:
        async with self._reading:
            while task_ids := self._tasks.take_doubtful(READ_AT_ONCE):
                try:
                    found = await board_queries.read(task_ids)
                except BaseException:
                    for task_id in task_ids:
                        self._tasks.doubt(task_id)
                    raise
                for task_id in set(task_ids) - {task.id for task in found}:
                    self._tasks.forget(task_id)
                for task in found:
                    self._tasks.take(task)
                self._tell([task.id for task in found])
                await self._room()

    async def _tell_all(self) -> None:
        self._tell()

    def _tell(self, among: Iterable[UUID] | None = None) -> None:
        delivery = self.delivery
        for task, before in self._tasks.changes(among):
            snapshot = Snapshot(task, delivery)
            for slot in self.slots:
                slot.offer(snapshot, partial(statuses_since, task, before, slot.since))
