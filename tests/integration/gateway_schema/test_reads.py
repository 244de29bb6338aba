"""What a query reads: only the fields that it asks for leave MongoDB, by one command a list, and counts when asked."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import monitoring

from core.documents import Item, Task, TimelineEntry
from core.states import TaskStatus
from gateway.reads import SharedReads
from gateway.shapes import camel_case
from tests.integration.gateway_schema.asking import Gateway


class Commands(monitoring.CommandListener):
    """The reading commands that were sent, and what they brought back. It hears clients made later."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.fields: set[str] = set()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Keep its name."""
        if event.command_name in ("find", "aggregate", "count", "getMore", "distinct"):
            self.sent.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Keep the names of what its documents hold."""
        for document in event.reply.get("cursor", {}).get("firstBatch", ()):
            self.fields.update(document)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Keep nothing."""


COMMANDS = Commands()
monitoring.register(COMMANDS)


@pytest.fixture
async def stored(gateway: Gateway) -> Gateway:
    """A replica with 30 items and 30 tasks."""
    await Item.insert_many([Item(name=f"item {n}", metadata={"n": n}) for n in range(30)])
    for _ in range(30):
        await gateway.get('mutation { submitTask(kind: "processData", input: {data: "x"}) { id } }')
    return gateway


@pytest.mark.parametrize(
    ("query", "commands", "fields"),
    [
        ("{ items { nodes { id name } } }", ["find"], {"_id", "name"}),
        ("{ items { nodes { id ...F } } } fragment F on Item { createdAt }", ["find"], {"_id", "created_at"}),
        ("{ items(order: UPDATED_DESC) { edges { cursor } } }", ["find"], {"_id", "updated_at"}),
        ("{ items { pageInfo { endCursor } totalCount } }", ["aggregate", "find"], {"_id", "n"}),
        ("{ tasks { nodes { id kind status } } }", ["find"], {"_id", "kind", "status"}),
        ("{ tasks { nodes { ... on Node { id } progress { percent } } } }", ["find"], {"_id", "kind", "progress"}),
        (
            "{ tasks { edges { node { cursor timeline { at } } } } }",
            ["find"],
            {"_id", "kind", "epoch", "n", "timeline"},
        ),
        ("{ tasks { nodes { ... on ProcessDataTask { input { data } } } } }", ["find"], {"_id", "kind", "input"}),
    ],
)
async def test_list_is_one_command_for_what_is_asked(
    stored: Gateway, query: str, commands: list[str], fields: set[str]
) -> None:
    COMMANDS.sent.clear()
    COMMANDS.fields.clear()
    data: dict[str, Any] = await stored.get(query)
    assert data
    assert (sorted(COMMANDS.sent), COMMANDS.fields) == (commands, fields)


async def test_two_lists_are_two_commands_however_much_is_in_them(stored: Gateway) -> None:
    COMMANDS.sent.clear()
    await stored.get("{ items(first: 30) { nodes { id name metadata } } tasks(first: 30) { nodes { id inputJson } } }")
    assert COMMANDS.sent == ["find", "find"]


async def test_lists_of_the_same_moment_share_reads_and_show_what_was_written_before(gateway: Gateway) -> None:
    context = replace(gateway.context, reads=SharedReads())

    async def newest() -> str:
        query = "{ items(first: 1) { nodes { name } } }"
        result = await gateway.schema.execute(query, context_value=context)
        return str(result.data["items"]["nodes"][0]["name"])  # type: ignore[index]

    await Item(name="0").insert()
    COMMANDS.sent.clear()
    lists = 0
    for number in range(1, 11):
        before = [asyncio.create_task(newest()) for _ in range(10)]
        await asyncio.sleep(0)
        await Item(name=str(number)).insert()
        assert await asyncio.gather(*(newest() for _ in range(10))) == [str(number)] * 10
        await asyncio.gather(*before)
        lists += 20
    assert COMMANDS.sent.count("find") < lists / 2


async def test_list_tells_the_moments_that_an_item_tells_and_goes_on_behind_them(gateway: Gateway) -> None:
    made = [datetime(2026, 1, 31, 12, 0, second, 5_000, tzinfo=UTC) for second in (0, 1, 1)]
    stored = [Item(name=str(n), created_at=made[0], updated_at=moment) for n, moment in enumerate(made)]
    await Item.insert_many(stored)
    query = (
        "query($after: String) { items(first: 1, after: $after, order: UPDATED_ASC) { edges { cursor node { %s } } } }"
    )
    fields, after = "id name createdAt updatedAt", None
    for item in stored:
        listed = await gateway.get(query % fields, after=after)
        edge = listed["items"]["edges"][0]
        one = await gateway.get(f'{{ item(id: "{item.id}") {{ {fields} }} }}')
        assert edge["node"] == one["item"]
        after = edge["cursor"]
    assert edge["node"]["createdAt"] == "2026-01-31T12:00:00.005Z"
    assert edge["node"]["updatedAt"] == "2026-01-31T12:00:01.005Z"


async def test_list_tells_of_a_task_what_is_told_of_it_alone(gateway: Gateway) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 5_000, tzinfo=UTC)
    entry = TimelineEntry(epoch=1, n=1, at=at, attempt=0, status=TaskStatus.SUCCEEDED, by="worker")
    task = Task(kind="processData", status=entry.status, input={"data": "x"}, max_attempts=3, timeout_s=1)
    moments = dict.fromkeys(("created_at", "started_at", "finished_at", "worker_seen_at", "progress_at"), at)
    await Task.insert_one(task.model_copy(update={**moments, "timeline": [entry]}))
    fields = f"id inputJson {' '.join(map(camel_case, moments))} timeline {{ at }}"
    fields += " ... on ProcessDataTask { input { data } }"
    told = await gateway.get(f'{{ task(id: "{task.id}") {{ {fields} }} tasks {{ nodes {{ {fields} }} }} }}')
    assert told["tasks"]["nodes"] == [told["task"]]
    texts = [told["task"][camel_case(name)] for name in moments] + [told["task"]["timeline"][0]["at"]]
    assert set(texts) == {"2026-01-31T12:00:00.005Z"}
