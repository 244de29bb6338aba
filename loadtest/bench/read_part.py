"""The read path: a list of 20 items with 6 fields over HTTP, held in memory by each contestant, then in MongoDB."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from core.connections import open_mongo
from core.documents import Item
from core.settings import Settings
from loadtest.bench import contestants
from loadtest.bench.asking import Clients, NoAnswer, first_answer
from loadtest.bench.figures import Contest
from loadtest.bench.goals import MEMORY, SHARED, STORED
from loadtest.bench.items import LISTED, as_asked, documents
from loadtest.bench.parts import Plan, in_turns, measured, say
from loadtest.bench.report import found
from loadtest.bench.results import Found
from loadtest.bench.servers import Bench, Server

MEASURES = ("memory", "mongodb")


def read(bench: Bench, plan: Plan) -> Iterator[Found]:
    """Yield what was measured. Raises NoAnswer, ProcessFailed and ServerNotFound."""
    held = documents(LISTED)
    if plan.wants("memory"):
        items = bench.folder / "items.json"
        items.write_bytes(orjson.dumps([as_asked(document) for document in held]))
        everybody = contestants.reading(plan.python)
        yield found("read", "memory", 1, [ask_all(bench, plan, MEMORY, everybody, {"BENCH_ITEMS": str(items)}, held)])
    if plan.wants("mongodb"):
        name = f"bench-{secrets.token_hex(4)}"
        own = {"HEADWAY_BROKER": "direct", "HEADWAY_NAMESPACE": name, "HEADWAY_MONGO_DATABASE": name}
        environment = {**bench.stores(), **own}
        with stored(environment["MONGO_URL"], name, held):
            contests = []
            for title, is_same in ((STORED, False), (SHARED, True)):
                everybody = contestants.reading_stored(plan.python, is_same=is_same)
                contests.append(ask_all(bench, plan, title, everybody, environment, held))
            yield found("read", "mongodb", 2, contests)


@contextmanager
def stored(mongo_url: str, database: str, items: list[dict[str, Any]]) -> Iterator[None]:
    """Store items where the gateway looks for them, with its indexes; leave nothing of them behind."""
    settings = Settings(mongo_url=mongo_url, mongo_database=database, mongo_pool_min=0)

    async def store() -> None:
        client = await open_mongo(settings)
        await Item.get_pymongo_collection().insert_many(items)
        await client.close()

    async def drop() -> None:
        client = await open_mongo(settings, has_indexes=True)
        await client.drop_database(database)
        await client.close()

    asyncio.run(store())
    try:
        yield
    finally:
        asyncio.run(drop())


def ask_all(
    bench: Bench,
    plan: Plan,
    title: str,
    everybody: list[contestants.Contestant],
    environment: Mapping[str, str],
    items: Sequence[Mapping[str, Any]],
) -> Contest:
    """Start the contestants and let them take turns; `items` are what they hold."""
    contest = Contest(title, "request")
    with bench.servers(plan.chosen(everybody), environment) as servers:
        for server in servers:
            check_items(server, items)
            _ask(server, plan.warm_up_s)
        for server in in_turns(servers, plan.repeats):

            def operate(seconds: float, asked: Server = server) -> tuple[int, float]:
                return _ask(asked, seconds)

            contest.note(server.name, measured(bench, server, operate, plan.seconds))
        contest.memory_kb = {server.name: server.resident_kb() for server in servers}
    say(contest)
    return contest


def _ask(server: Server, seconds: float) -> tuple[int, float]:
    with Clients(server.port, server.contestant.requests) as clients:
        asked = clients.ask(seconds)
    return asked.answers, asked.seconds


def check_items(server: Server, items: Sequence[Mapping[str, Any]]) -> None:
    """Look whether it answers with all that was asked for. Raises NoAnswer."""
    answer: Any = None
    try:
        answer = orjson.loads(first_answer(server.port, server.contestant.requests[-1]))
        nodes = answer["items"] if "items" in answer else answer["data"]["items"]["nodes"]
        for node, document in zip(nodes, items, strict=True):
            expected = as_asked(document)
            assert list(node) == list(expected)
            assert all(node[key] == expected[key] for key in ("name", "description", "metadata"))
            assert UUID(node["id"]) == document["_id"]
            datetime.fromisoformat(node["createdAt"])
            datetime.fromisoformat(node["updatedAt"])
    except NoAnswer as exc:
        raise NoAnswer(f"{server.name}: {exc}") from exc
    except (KeyError, TypeError, ValueError, AssertionError) as exc:
        raise NoAnswer(f"{server.name}: expected {LISTED} items with 6 fields, got {str(answer)[:500]}") from exc
