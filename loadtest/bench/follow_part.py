"""The follow path: followers of one task, or each of its own, over graphql-transport-ws; events come from Redis."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from uuid import UUID

from core.connections import open_mongo
from core.documents import Task
from core.events import stream_key
from core.ids import new_id
from core.settings import Settings
from loadtest.bench import contestants, events, following
from loadtest.bench.crowd import Crowd
from loadtest.bench.figures import Contest
from loadtest.bench.parts import Plan, in_turns, measured, say
from loadtest.bench.servers import Bench, Server

STORED_AT_ONCE = 500


@dataclass(frozen=True)
class Stores:
    """The servers under the gateway, and the name under which the bench keeps what is its own there."""

    mongo_url: str
    redis_url: str
    name: str

    def environment(self) -> dict[str, str]:
        """Return what contestants read."""
        own = {"HEADWAY_BROKER": "direct", "HEADWAY_NAMESPACE": self.name, "HEADWAY_MONGO_DATABASE": self.name}
        return {"MONGO_URL": self.mongo_url, "REDIS_URL": self.redis_url} | own

    @contextmanager
    def hold(self, task_ids: list[UUID], publisher: events.Publisher) -> Iterator[None]:
        """Store running tasks where the gateway looks for them; leave nothing of them behind."""
        asyncio.run(self._store(task_ids))
        try:
            yield
        finally:
            for task_id in task_ids:
                publisher.send(events.command("UNLINK", stream_key(self.name, task_id)))
            asyncio.run(self._drop())

    async def _store(self, task_ids: list[UUID]) -> None:
        client = await open_mongo(self._settings())
        try:
            for first in range(0, len(task_ids), STORED_AT_ONCE):
                await Task.insert_many([events.running_task(one) for one in task_ids[first : first + STORED_AT_ONCE]])
        finally:
            await client.close()

    async def _drop(self) -> None:
        client = await open_mongo(self._settings())
        try:
            await client.drop_database(self.name)
        finally:
            await client.close()

    def _settings(self) -> Settings:
        return Settings(mongo_url=self.mongo_url, mongo_database=self.name, mongo_pool_min=0)


def follow(bench: Bench, plan: Plan, python: str, mongo_url: str, redis_url: str) -> Iterator[Contest]:
    """Yield what was measured; `python` runs the peers. Raises CrowdFailed and ProcessFailed."""
    for followers in plan.followers:
        for tasks in (1, followers):
            contest = Contest(
                f"{followers:,} followers, {'one hot task' if tasks == 1 else 'a task of its own each'}",
                "message",
                memory_of="follower",
            )
            stores = Stores(mongo_url, redis_url, f"bench-{secrets.token_hex(4)}")
            _Scene(bench, plan, stores, contest, followers, tasks).measure(contestants.following(python))
            say(contest)
            yield contest


@dataclass
class _Scene:
    """So many followers of so many tasks at each contestant."""

    bench: Bench
    plan: Plan
    stores: Stores
    contest: Contest
    followers: int
    tasks: int

    def measure(self, everybody: list[contestants.Contestant]) -> None:
        """Start the contestants, have all followers join, and let them take turns."""
        with ExitStack() as stack:
            publisher = stack.enter_context(events.Publisher(self.stores.redis_url))
            servers = stack.enter_context(self.bench.servers(self.plan.chosen(everybody), self.stores.environment()))
            joined: dict[str, tuple[Crowd, events.Feed]] = {}
            for server in servers:
                others = [crowd for crowd, _ in joined.values()]
                joined[server.name] = self._join(server, publisher, stack, others)
            for crowd, feed in joined.values():
                following.turn(crowd, feed, self.plan.warm_up_s)
            for server in in_turns(servers, self.plan.repeats):
                following.answer_pings([crowd for crowd, _ in joined.values()])

                def operate(seconds: float, name: str = server.name) -> tuple[int, float]:
                    told = following.turn(*joined[name], seconds)
                    return told.messages, told.seconds

                self.contest.note(server.name, measured(self.bench, server, operate, self.plan.seconds))

    def _join(
        self, server: Server, publisher: events.Publisher, stack: ExitStack, others: list[Crowd]
    ) -> tuple[Crowd, events.Feed]:
        """Have everybody follow at one server, and note what memory that took."""
        task_ids = [new_id() for _ in range(self.tasks)]
        encode: events.Encode = events.as_peer
        if server.contestant.is_headway:
            stack.enter_context(self.stores.hold(task_ids, publisher))
            encode = events.as_headway(self.stores.name)
        feed = events.Feed(task_ids, self.followers // self.tasks, encode, publisher)
        crowd = stack.enter_context(Crowd(server.name, server.port))
        before = server.resident_kb()
        following.join(crowd, feed, task_ids, self.followers, others)
        self.contest.memory_kb[server.name] = (server.resident_kb() - before) / self.followers
        return crowd, feed
