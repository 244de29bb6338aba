"""Tasks, kinds, nodes, health and the subscription through the schema, on real services."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from core import transitions
from core.clock import utc_now
from core.documents import Item, Task, TaskFailure, TaskProgress, TimelineEntry
from core.events import Cursor
from core.ids import new_id
from core.states import TaskStatus
from gateway.errors import mask
from tests.integration.gateway_schema.asking import Gateway

TASK = """
query ($id: ID!) { task(id: $id) {
  __typename id kind status inputJson resultJson error { code message } progress { percent }
  retryOf batchId cancelReason
  ... on ProcessDataTask { input { iterations } result { processedItems { index digest } totalProcessed rounds } }
  ... on PaintPictureTask { result { layers { layerNo corner { xPos } } colour bytesWritten finished } }
} }
"""
TASKS = """
query ($first: Int, $after: String, $filter: TaskFilter, $order: TaskOrder) {
  tasks(first: $first, after: $after, filter: $filter, order: $order) {
    totalCount nodes { id kind status } pageInfo { hasNextPage endCursor }
  }
}
"""


def make_task(**fields: Any) -> Task:
    """Return a task as a worker may have left it."""
    values: dict[str, Any] = {
        "kind": "processData",
        "status": TaskStatus.QUEUED,
        "input": {"data": "x", "iterations": 2},
        "max_attempts": 3,
        "timeout_s": 60,
    }
    return Task(**(values | fields))


async def test_a_result_is_typed_and_json(gateway: Gateway) -> None:
    items = [{"index": 0, "digest": "aa"}, {"index": 1, "digest": "bb"}]
    result = {"processed_items": items, "total_processed": 2, "rounds": 5}
    original = new_id()
    task = await make_task(
        status=TaskStatus.SUCCEEDED, result=result, progress=TaskProgress(current=2, total=2), retry_of=original
    ).insert()
    answer = (await gateway.get(TASK, id=str(task.id)))["task"]
    typed = {"processedItems": items, "totalProcessed": 2, "rounds": 5}
    assert answer == {
        "__typename": "ProcessDataTask",
        "id": str(task.id),
        "kind": "processData",
        "status": "SUCCEEDED",
        "inputJson": {"data": "x", "iterations": 2},
        "resultJson": typed,
        "error": None,
        "progress": {"percent": 100.0},
        "retryOf": str(original),
        "batchId": None,
        "cancelReason": None,
        "input": {"iterations": 2},
        "result": typed,
    }


async def test_a_timeline_is_shown_as_far_as_it_is_asked_for(gateway: Gateway) -> None:
    entries = [
        TimelineEntry(epoch=epoch, n=1, at=utc_now(), attempt=epoch, status=TaskStatus.QUEUED, by="test")
        for epoch in range(1, 31)
    ]
    task = await make_task(timeline=entries, epoch=30).insert()
    query = "query($id: ID!) { task(id: $id) { few: timeline { attempt } all: timeline(last: 500) { attempt } } }"
    shown = (await gateway.get(query, id=str(task.id)))["task"]
    assert [entry["attempt"] for entry in shown["few"]] == list(range(21, 31))
    assert [entry["attempt"] for entry in shown["all"]] == list(range(1, 31))
    for last in (0, 501):
        query = "query($id: ID!, $n: Int) { task(id: $id) { timeline(last: $n) { at } } }"
        refused = await gateway.ask(query, id=str(task.id), n=last)
        assert refused.code == "BAD_USER_INPUT"


async def test_a_task_of_a_kind_that_is_not_installed_is_untyped(gateway: Gateway) -> None:
    failure = TaskFailure(code="TIMEOUT", message="took too long")
    task = await make_task(
        kind="goneKind", status=TaskStatus.FAILED, input={"a_b": 1}, result={"c_d": 2}, error=failure
    ).insert()
    answer = (await gateway.get(TASK, id=str(task.id)))["task"]
    assert answer["__typename"] == "UntypedTask"
    assert (answer["inputJson"], answer["resultJson"]) == ({"a_b": 1}, {"c_d": 2})
    assert answer["error"] == {"code": "TIMEOUT", "message": "took too long"}


async def test_a_result_with_large_numbers_is_shown_where_its_model_allows_them(gateway: Gateway) -> None:
    result = {
        "layers": [{"layer_no": 1, "corner": {"x_pos": 0.5, "y_pos": 1}}, {"layer_no": 2, "corner": None}],
        "colour": "dark-blue",
        "bytes_written": 2**50,
        "finished": "2026-01-31T12:00:00Z",
    }
    task = await make_task(
        kind="paintPicture", status=TaskStatus.SUCCEEDED, input={"title": "T"}, result=result
    ).insert()
    assert (await gateway.get(TASK, id=str(task.id)))["task"]["result"] == {
        "layers": [{"layerNo": 1, "corner": {"xPos": 0.5}}, {"layerNo": 2, "corner": None}],
        "colour": "DARK_BLUE",
        "bytesWritten": 2**50,
        "finished": "2026-01-31T12:00:00Z",
    }


async def test_a_number_too_large_for_its_type_costs_the_typed_result_only(gateway: Gateway) -> None:
    result = {"processed_items": [], "total_processed": 2**40, "rounds": 1}
    task = await make_task(status=TaskStatus.SUCCEEDED, result=result).insert()
    answer = await gateway.ask(TASK, id=str(task.id))
    assert answer.code == "VALUE_OUT_OF_RANGE"
    assert answer.data["task"]["result"] is None
    assert answer.data["task"]["resultJson"]["totalProcessed"] == 2**40


async def test_a_task_belongs_to_its_owner(gateway: Gateway) -> None:
    task = await make_task(owner="ann").insert()
    ann, bob = gateway.of("ann"), gateway.of("bob")
    assert (await ann.get(TASK, id=str(task.id)))["task"]["id"] == str(task.id)
    assert (await bob.ask(TASK, id=str(task.id))).code == "NOT_FOUND"
    assert (await bob.ask(TASK, id=str(new_id()))).code == "NOT_FOUND"
    node = "query ($id: ID!) { node(id: $id) { __typename id } }"
    assert (await ann.get(node, id=str(task.id)))["node"] == {"__typename": "ProcessDataTask", "id": str(task.id)}
    assert (await bob.get(node, id=str(task.id)))["node"] is None
    assert (await bob.get(TASKS))["tasks"]["totalCount"] == 0
    assert (await ann.get(TASKS))["tasks"]["totalCount"] == 1


async def test_a_node_is_an_item_or_a_task_or_nothing(gateway: Gateway) -> None:
    item = await Item(name="x").insert()
    node = "query ($id: ID!) { node(id: $id) { id ... on Item { name } ... on Task { status } } }"
    assert (await gateway.get(node, id=str(item.id)))["node"] == {"id": str(item.id), "name": "x"}
    assert (await gateway.get(node, id=str(new_id())))["node"] is None


async def test_tasks_are_filtered_ordered_and_paged(gateway: Gateway) -> None:
    batch = new_id()
    start = utc_now()
    tasks = [
        make_task(
            kind="ab"[index % 2],
            status=[TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED][index % 3],
            created_at=start + timedelta(seconds=index),
            batch_id=batch if index < 5 else None,
        )
        for index in range(30)
    ]
    await Task.insert_many(tasks)

    async def ids(**variables: Any) -> list[str]:
        found: list[str] = []
        after = None
        while True:
            page = (await gateway.get(TASKS, after=after, **variables))["tasks"]
            found += [node["id"] for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                assert page["totalCount"] == len(found)
                return found
            after = page["pageInfo"]["endCursor"]

    def expected(*indexes: int) -> list[str]:
        return [str(tasks[index].id) for index in indexes]

    assert await ids(first=7) == expected(*range(29, -1, -1))
    assert await ids(first=7, order="OLDEST_FIRST") == expected(*range(30))
    assert await ids(filter={"kinds": ["a"], "statuses": ["FAILED"]}, first=2) == expected(26, 20, 14, 8, 2)
    assert await ids(filter={"kinds": []}) == []
    assert await ids(filter={"batchId": str(batch)}) == expected(4, 3, 2, 1, 0)
    since, before = tasks[3].created_at.isoformat(), tasks[6].created_at.isoformat()
    assert await ids(filter={"createdFrom": since, "createdTo": before}) == expected(5, 4, 3)
    wrong = await gateway.ask(TASKS, filter={"batchId": "7"})
    assert wrong.errors[0]["extensions"]["field"] == "filter.batchId"
    assert (await gateway.ask(TASKS, filter={"kinds": ["a"] * 101})).code == "BAD_USER_INPUT"
    assert (await gateway.ask(TASKS, first=101)).code == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "selection",
    [
        "inputJson resultJson",
        "...Large",
        "... on ProcessDataTask { inputJson resultJson }",
        "... { ... { ...Large } }",
        "inputJson resultJson @include(if: true)",
    ],
)
async def test_a_list_reads_the_large_fields_when_they_are_selected(gateway: Gateway, selection: str) -> None:
    result = {"processed_items": [], "total_processed": 0, "rounds": 1}
    await make_task(status=TaskStatus.SUCCEEDED, result=result, checkpoint={"large": 1}).insert()
    fragment = "fragment Large on Task { inputJson resultJson }" if "Large" in selection else ""
    for way, below in (("nodes", "{ %s }"), ("edges", "{ node { %s } }")):
        query = f"{{ tasks {{ {way} {below % selection} }} }} {fragment}"
        (found,) = (await gateway.get(query))["tasks"][way]
        task = found.get("node", found)
        assert task["inputJson"] == {"data": "x", "iterations": 2}
        assert task["resultJson"] == {"processedItems": [], "totalProcessed": 0, "rounds": 1}


FOLLOW = "subscription ($id: ID!, $maxHz: Float) { taskProgress(id: $id, maxHz: $maxHz) { __typename status cursor } }"


async def outcomes(gateway: Gateway, ident: str, **variables: Any) -> AsyncIterator[Any]:
    """Follow a task: yield type, status and cursor of each event, or the code of an error."""
    results = await gateway.schema.subscribe(
        FOLLOW, variable_values={"id": ident, **variables}, context_value=gateway.context
    )
    async for result in results:
        for error in mask(result.errors or [], "c-1"):
            yield error["extensions"]["code"]
        if result.data:
            yield tuple(result.data["taskProgress"].values())


async def follow(gateway: Gateway, ident: str, **variables: Any) -> list[Any]:
    """Return everything that following a task to its end yields."""
    return [outcome async for outcome in outcomes(gateway, ident, **variables)]


async def test_a_task_is_followed_to_its_end(gateway: Gateway) -> None:
    task = await make_task().insert()
    states: list[Any] = []
    async for outcome in outcomes(gateway, str(task.id)):
        states.append(outcome)
        if len(states) == 1:
            await _end(task.id)
    assert states == [("ProcessDataTask", "QUEUED", "1-1"), ("ProcessDataTask", "CANCELLED", "2-1")]


async def _end(task_id: UUID) -> None:
    change = transitions.cancelled_unclaimed(task_id, 1, by="test", reason=None)
    await Task.get_pymongo_collection().update_one(change.filter, change.update)


async def test_following_an_ended_task_gives_it_once(gateway: Gateway) -> None:
    task = await make_task(kind="goneKind", status=TaskStatus.SUCCEEDED, epoch=2, n=7).insert()
    assert await follow(gateway, str(task.id)) == [("UntypedTask", "SUCCEEDED", str(Cursor(2, 7)))]
    assert await follow(gateway, str(task.id), maxHz=None) == [("UntypedTask", "SUCCEEDED", "2-7")]


async def test_what_cannot_be_followed_is_an_error(gateway: Gateway) -> None:
    task = await make_task(owner="ann").insert()
    assert await follow(gateway, str(new_id())) == ["NOT_FOUND"]
    assert await follow(gateway, str(task.id)) == ["NOT_FOUND"]
    assert await follow(gateway, "7") == ["BAD_USER_INPUT"]
    for rate in (0, -1, 61):
        assert await follow(gateway.of("ann"), str(task.id), maxHz=rate) == ["BAD_USER_INPUT"]
    assert gateway.services.relay.subscribers == 0
