"""The follow path: followers of one task, or each of its own, over graphql-transport-ws; events come from Redis."""

import asyncio
import secrets
import time
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
from loadtest.bench.report import found
from loadtest.bench.results import Found
from loadtest.bench.servers import Bench, Server

MEASURES = ("hot", "own")
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


def follow(bench: Bench, plan: Plan) -> Iterator[Found]:
    """Yield what was measured. Raises CrowdFailed, ProcessFailed and ServerNotFound."""
    for followers in plan.followers:
        contests = []
        for measure, tasks in (("hot", 1), ("own", followers)):
            if plan.wants(measure):
                contests.append(_measure(bench, plan, followers, tasks))
        yield found("follow", str(followers), followers, contests)


def _measure(bench: Bench, plan: Plan, followers: int, tasks: int) -> Contest:
    what = "one hot task" if tasks == 1 else "a task of its own each"
    contest = Contest(f"{followers:,} followers, {what}", "message", memory_of="follower")
    with ExitStack() as stack:
        scene = Scene(bench, plan, contest, stack)
        scene.enter(plan.chosen(contestants.following(plan.python)), followers, tasks)
        scene.take_turns()
    say(contest)
    return contest


class Scene:
    """Contestants with their followers, whom all leave when the stack is closed."""

    def __init__(self, bench: Bench, plan: Plan, contest: Contest, stack: ExitStack) -> None:
        self._bench = bench
        self._plan = plan
        self._contest = contest
        self._stack = stack
        self.joined: dict[str, tuple[Server, Crowd, events.Feed]] = {}
        self._publisher = stack.enter_context(events.Publisher(bench.stores()["REDIS_URL"]))

    def enter(
        self, everybody: list[contestants.Contestant], followers: int, tasks: int, told: int | None = None
    ) -> None:
        """Start contestants that share stores, and have so many followers of so many tasks join at each.

        Where `told` is given, only so many of the tasks move on.
        """
        urls = self._bench.stores()
        stores = Stores(urls["MONGO_URL"], urls["REDIS_URL"], f"bench-{secrets.token_hex(4)}")
        for server in self._stack.enter_context(self._bench.servers(everybody, stores.environment())):
            task_ids = [new_id() for _ in range(tasks)]
            encode: events.Encode = events.as_peer
            if server.contestant.is_headway:
                self._stack.enter_context(stores.hold(task_ids, self._publisher))
                encode = events.as_headway(stores.name)
            feed = events.Feed(task_ids, followers // tasks, told or tasks, encode, self._publisher)
            crowd = self._stack.enter_context(Crowd(server.name, server.port))
            before = server.resident_kb()
            following.join(crowd, feed, task_ids, followers, self._crowds())
            self._contest.memory_kb[server.name] = (server.resident_kb() - before) / followers
            self.joined[server.name] = (server, crowd, feed)

    def take_turns(self, each_ahead: int = following.EACH_AHEAD, at_rest: Contest | None = None) -> None:
        """Let all take turns, and note what they do; see `following.turn`.

        Where `at_rest` is given, each is left alone for as long before its turn, and what it does then is noted there.
        """
        for _, crowd, feed in self.joined.values():
            following.turn(crowd, feed, self._plan.warm_up_s, each_ahead)
        for server, crowd, feed in in_turns([*self.joined.values()], self._plan.repeats):
            following.answer_pings(self._crowds())
            if at_rest is not None:
                at_rest.note(server.name, measured(self._bench, server, self._rest, self._plan.seconds))

            def operate(seconds: float, crowd: Crowd = crowd, feed: events.Feed = feed) -> tuple[int, float]:
                told = following.turn(crowd, feed, seconds, each_ahead)
                return told.messages, told.seconds

            self._contest.note(server.name, measured(self._bench, server, operate, self._plan.seconds))

    def _rest(self, seconds: float) -> tuple[int, float]:
        started = time.perf_counter()
        while (rested := time.perf_counter() - started) < seconds:
            following.answer_pings(self._crowds())
            time.sleep(0.02)
        return 1, rested

    def _crowds(self) -> list[Crowd]:
        return [crowd for _, crowd, _ in self.joined.values()]
