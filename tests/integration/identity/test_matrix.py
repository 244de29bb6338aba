"""The authorisation matrix on real services: every root field, by every role, for what is one's own and another's.

A root field that is in none of the tables below fails the first test.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.clock import utc_now
from core.documents import Batch, DeadLetter, Item, Role, Task, TaskFailure, TimelineEntry
from core.states import TERMINAL, TaskStatus
from gateway.errors import mask
from gateway.identity.principals import Principal
from gateway.identity.rules import rule_of
from tests.integration.gateway_schema.asking import Gateway

Make = Callable[[str], Awaitable[str]]


async def task(owner: str, status: TaskStatus = TaskStatus.QUEUED, **fields: Any) -> str:
    """Store a task and return its id."""
    stored = Task(
        kind="processData", owner=owner, status=status, input={"data": "x"}, max_attempts=1, timeout_s=60.0, **fields
    )
    stored.finished_at = utc_now() if status in TERMINAL else None
    stored.timeline.append(TimelineEntry(epoch=1, n=1, at=stored.created_at, attempt=0, status=status, by="test"))
    await stored.insert()
    return str(stored.id)


async def ended_task(owner: str) -> str:
    """Store a task that failed."""
    return await task(owner, TaskStatus.FAILED, error=TaskFailure(code="X", message="x"))


async def batch(owner: str) -> str:
    """Store a batch of one task that has ended."""
    stored = await Batch(owner=owner, total=1).insert()
    await task(owner, TaskStatus.SUCCEEDED, batch_id=stored.id)
    return str(stored.id)


async def letter(owner: str) -> str:
    """Store a failed task's dead letter."""
    stored = await DeadLetter(reason="x", owner=owner, task_id=await ended_task(owner)).insert()
    return str(stored.id)


async def item(_owner: str) -> str:
    """Store an item, which belongs to nobody."""
    return str((await Item(name="x").insert()).id)


def by_id(operation: str, field: str, selection: str = "{ id }") -> str:
    """Return a document that asks for a field by an id."""
    return f"{operation} ($id: ID!) {{ {field}(id: $id) {selection} }}"


TASK = "{ id owner inputJson retryOf progress { current } timeline { status } }"
OWNED: dict[str, tuple[str, Make]] = {
    "Query.task": (by_id("query", "task", TASK), task),
    "Query.batch": (by_id("query", "batch", "{ id ended tasks { totalCount nodes { id } } }"), batch),
    "Query.node": (by_id("query", "node"), task),
    "Mutation.cancelTask": (by_id("mutation", "cancelTask"), task),
    "Mutation.retryTask": (by_id("mutation", "retryTask"), ended_task),
    "Subscription.taskProgress": (by_id("subscription", "taskProgress", TASK), task),
    "Subscription.taskEvents": (by_id("subscription", "taskEvents", "{ cursor }"), ended_task),
    "Subscription.batchProgress": (by_id("subscription", "batchProgress"), batch),
}
"""What belongs to somebody: another's is NOT_FOUND (or null, for `node`), but not to an admin."""

SHARED: dict[str, tuple[str, Make]] = {
    "Query.item": (by_id("query", "item"), item),
    "Query.items": ("{ items { totalCount nodes { id } } }", item),
    "Query.taskKinds": ("{ taskKinds { name } }", item),
    "Query.fleet": ("{ fleet { backlog { tasks } workers { name } } }", item),
    "Query.health": ("{ health { status } }", item),
    "Query.deadLetters": ("{ deadLetters { totalCount nodes { id } } }", letter),
    "Mutation.createItem": ('mutation { createItem(input: {name: "x"}) { id } }', item),
    "Mutation.createItems": ('mutation { createItems(inputs: [{name: "x"}]) { id } }', item),
    "Mutation.updateItem": (
        'mutation ($id: ID!) { updateItem(id: $id, input: {name: "y"}) { id } }',
        item,
    ),
    "Mutation.deleteItem": (by_id("mutation", "deleteItem", ""), item),
    "Mutation.submitTask": ('mutation { submitTask(kind: "processData", input: {data: "x"}) { id } }', item),
    "Mutation.submitTasks": (
        'mutation { submitTasks(inputs: [{kind: "processData", input: {data: "x"}}]) { id } }',
        item,
    ),
    "Mutation.processData": ('mutation { processData(input: {data: "x"}) { id } }', item),
    "Mutation.importItems": ('mutation { importItems(input: {format: CSV, content: "name\\nx"}) { id } }', item),
    "Mutation.exportItems": ("mutation { exportItems(format: NDJSON) { id } }", item),
    "Mutation.resendDeadLetter": (by_id("mutation", "resendDeadLetter"), letter),
    "Mutation.discardDeadLetter": (by_id("mutation", "discardDeadLetter", ""), letter),
}
"""What belongs to nobody, or only admins may touch: the role alone decides."""

MANY = {
    "Query.tasks": "{ tasks(first: 100) { totalCount nodes { id } edges { node { id } } } }",
    "Mutation.cancelTasks": "mutation { cancelTasks(filter: {statuses: [QUEUED]}) { matched changed } }",
    "Mutation.retryTasks": "mutation { retryTasks(filter: {statuses: [FAILED]}) { matched changed } }",
    "Subscription.tasksChanged": "subscription { tasksChanged { id } }",
}
"""What covers many tasks: those that one may see, and no others."""


async def outcome(gateway: Gateway, document: str, **variables: Any) -> str:
    """Return OK, NULL, or the code of what an operation is answered with; of a subscription the first answer."""
    if not document.startswith("subscription"):
        answer = await gateway.ask(document, **variables)
        if answer.errors:
            return answer.code
        return "NULL" if list(answer.data.values()) == [None] else "OK"
    async with asyncio.timeout(20):
        source = await gateway.schema.subscribe(document, variable_values=variables, context_value=gateway.context)
        async for result in source:
            await source.aclose()
            errors = mask(result.errors or [], "c")
            return str(errors[0]["extensions"]["code"]) if errors else "OK"
    return "NOTHING"


def expected(name: str, role: Role, gateway: Gateway, *, is_own: bool) -> str:
    """Return what the rules say."""
    root, _, field = name.partition(".")
    roles = list(Role)
    if roles.index(role) < roles.index(rule_of(root, field, gateway.services.kinds)):
        return "FORBIDDEN"
    if is_own or role is Role.ADMIN or name in SHARED:
        return "OK"
    return "NULL" if name == "Query.node" else "NOT_FOUND"


def test_every_root_field_is_in_the_matrix(gateway: Gateway) -> None:
    schema = gateway.schema._schema
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root]
    fields = {f"{root.name}.{name}" for root in roots for name in root.fields} - {"Mutation.paintPicture"}
    assert fields == OWNED.keys() | SHARED.keys() | MANY.keys()


@pytest.mark.parametrize("role", list(Role))
async def test_role_and_owner_decide_over_every_field(gateway: Gateway, role: Role) -> None:
    alice = gateway.by(Principal("alice", role))
    found: dict[tuple[str, str], str] = {}
    wanted: dict[tuple[str, str], str] = {}
    for name, (document, make) in {**OWNED, **SHARED}.items():
        for owner in ("alice", "bob"):
            variables = {"id": await make(owner)} if "$id" in document else {}
            wanted[name, owner] = expected(name, role, gateway, is_own=owner == "alice")
            found[name, owner] = await outcome(alice, document, **variables)
    assert found == wanted


async def test_refused_change_of_another_s_task_changes_nothing(gateway: Gateway) -> None:
    alice = gateway.by(Principal("alice", Role.OPERATOR))
    idents = [await task("bob"), await task("bob", TaskStatus.RUNNING), await ended_task("bob")]
    before = await Task.get_pymongo_collection().find({}).sort("_id").to_list()
    for name in ("Mutation.cancelTask", "Mutation.retryTask"):
        for ident in idents:
            assert (await alice.ask(OWNED[name][0], id=ident)).code == "NOT_FOUND"
    assert await Task.get_pymongo_collection().find({}).sort("_id").to_list() == before


@pytest.mark.parametrize("role", list(Role))
async def test_lists_hold_what_one_may_see(gateway: Gateway, role: Role) -> None:
    alice = gateway.by(Principal("alice", role))
    own, foreign = await task("alice"), await task("bob")
    seen = {own, foreign} if role is Role.ADMIN else {own}
    tasks = (await alice.get(MANY["Query.tasks"]))["tasks"]
    assert {node["id"] for node in tasks["nodes"]} == {edge["node"]["id"] for edge in tasks["edges"]} == seen
    assert tasks["totalCount"] == len(seen)


@pytest.mark.parametrize("role", list(Role))
async def test_dry_run_counts_what_one_may_see(gateway: Gateway, role: Role) -> None:
    alice = gateway.by(Principal("alice", role))
    for make in (task, ended_task):
        for owner in ("alice", "bob", "bob"):
            await make(owner)
    for field, status in (("retryTasks", "FAILED"), ("cancelTasks", "QUEUED")):
        document = (
            f"mutation {{ {field}(filter: {{statuses: [{status}]}}, dryRun: true) {{ matched changed hasMore }} }}"
        )
        answer = await alice.ask(document)
        if role is Role.VIEWER:
            assert answer.code == "FORBIDDEN"
        else:
            matched = 3 if role is Role.ADMIN else 1
            assert answer.data == {field: {"matched": matched, "changed": 0, "hasMore": False}}


@pytest.mark.parametrize("role", list(Role))
async def test_changes_of_many_reach_what_one_may_see(gateway: Gateway, role: Role) -> None:
    alice = gateway.by(Principal("alice", role))
    for make in (task, ended_task):
        for owner in ("alice", "bob"):
            await make(owner)
    for name, field in (("Mutation.retryTasks", "retryTasks"), ("Mutation.cancelTasks", "cancelTasks")):
        answer = await alice.ask(MANY[name])
        if role is Role.VIEWER:
            assert answer.code == "FORBIDDEN"
        else:
            touched = 2 if role is Role.ADMIN else 1
            assert answer.data == {field: {"matched": touched, "changed": touched}}
    left = await Task.find({"owner": "bob", "status": "QUEUED"}).count()
    again = await Task.find({"owner": "bob", "retry_of": {"$ne": None}}).count()
    assert (left, again) == ((0, 1) if role is Role.ADMIN else (1, 0))


async def test_what_an_admin_retries_stays_its_owner_s(gateway: Gateway) -> None:
    admin = gateway.by(Principal("root", Role.ADMIN))
    new = (await admin.get(OWNED["Mutation.retryTask"][0], id=await ended_task("bob")))["retryTask"]["id"]
    assert await outcome(gateway.by(Principal("bob", Role.VIEWER)), OWNED["Query.task"][0], id=new) == "OK"
    assert await outcome(gateway.by(Principal("root", Role.VIEWER)), OWNED["Query.task"][0], id=new) == "NOT_FOUND"


async def test_two_owners_may_use_the_same_idempotency_key(gateway: Gateway) -> None:
    submit = 'mutation { processData(input: {data: "x"}, options: {idempotencyKey: "k"}) { id } }'
    first = await gateway.of("alice").get(submit)
    assert await gateway.of("bob").get(submit) != first
    assert await gateway.of("alice").get(submit) == first


async def test_page_of_one_s_tasks_goes_on_behind_its_cursor_and_skips_others(gateway: Gateway) -> None:
    own = []
    for _ in range(3):
        own.append(await task("alice"))
        await task("bob")
    alice = gateway.by(Principal("alice", Role.VIEWER))
    document = "query ($after: String) { tasks(first: 1, after: $after) { nodes { id } pageInfo { endCursor } } }"
    paged, after = [], None
    while (page := (await alice.get(document, after=after))["tasks"])["nodes"]:
        paged += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert paged == own[::-1]
    indexes = await Task.get_pymongo_collection().index_information()
    assert [("owner", 1), ("_id", -1)] in [index["key"] for index in indexes.values()]
