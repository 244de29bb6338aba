"""The read path: a list of 20 items with 6 fields, which every contestant holds in memory and answers over HTTP."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from loadtest.bench import contestants
from loadtest.bench.asking import Clients, NoAnswer, first_answer
from loadtest.bench.figures import Contest
from loadtest.bench.parts import Plan, in_turns, measured, say
from loadtest.bench.reading import DOCUMENTS
from loadtest.bench.servers import Bench, Server


def read(bench: Bench, plan: Plan, python: str) -> Iterator[Contest]:
    """Yield what was measured; `python` runs the peers. Raises NoAnswer and ProcessFailed."""
    items = bench.folder / "items.json"
    items.write_bytes(orjson.dumps([stored_item(document) for document in DOCUMENTS]))
    contest = Contest("A list of 20 items with 6 fields, in memory", "request")
    with bench.servers(plan.chosen(contestants.reading(python)), {"BENCH_ITEMS": str(items)}) as servers:
        for server in servers:
            check_items(server)
            _ask(server, plan.warm_up_s)
        for server in in_turns(servers, plan.repeats):

            def operate(seconds: float, asked: Server = server) -> tuple[int, float]:
                return _ask(asked, seconds)

            contest.note(server.name, measured(bench, server, operate, plan.seconds))
        contest.memory_kb = {server.name: server.resident_kb() for server in servers}
    say(contest)
    yield contest


def _ask(server: Server, seconds: float) -> tuple[int, float]:
    with Clients(server.port, server.contestant.request) as clients:
        asked = clients.ask(seconds)
    return asked.answers, asked.seconds


def stored_item(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as the peers read it from their file, its fields in the order of the query."""
    same = {key: document[key] for key in ("name", "description", "metadata")}
    times = {"createdAt": document["created_at"], "updatedAt": document["updated_at"]}
    return {"id": document["_id"]} | same | times


def check_items(server: Server) -> None:
    """Look whether it answers with all that was asked for. Raises NoAnswer."""
    answer: Any = None
    try:
        answer = orjson.loads(first_answer(server.port, server.contestant.request))
        nodes = answer["items"] if "items" in answer else answer["data"]["items"]["nodes"]
        assert len(nodes) == len(DOCUMENTS)
        for node, document in zip(nodes, DOCUMENTS, strict=True):
            stored = stored_item(document)
            assert list(node) == list(stored)
            assert all(node[key] == stored[key] for key in ("name", "description", "metadata"))
            UUID(node["id"])
            datetime.fromisoformat(node["createdAt"])
            datetime.fromisoformat(node["updatedAt"])
    except NoAnswer as exc:
        raise NoAnswer(f"{server.name}: {exc}") from exc
    except (KeyError, TypeError, ValueError, AssertionError) as exc:
        raise NoAnswer(
            f"{server.name}: expected {len(DOCUMENTS)} items with 6 fields, got {str(answer)[:500]}"
        ) from exc
