"""What is another's is hidden: in boards, in batches, and in the words of what is refused."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.documents import Batch, Role
from core.ids import new_id
from core.states import TaskStatus
from gateway.errors import mask
from gateway.identity.principals import Principal
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.identity.test_matrix import MANY, OWNED, Make, batch, ended_task, expected, task


async def followed(
    gateway: Gateway, document: str, submit_last: Callable[[], Awaitable[str]], **variables: Any
) -> set[str]:
    """Return the tasks that a board tells of, to the one that `submit_last` stores once the board has begun."""
    found: set[str] = set()
    last = None
    async with asyncio.timeout(20):
        source = await gateway.schema.subscribe(document, variable_values=variables, context_value=gateway.context)
        async for result in source:
            assert result.data is not None
            found.add(result.data["tasksChanged"]["id"])
            last = last or await submit_last()
            if last in found:
                await source.aclose()
    return found


@pytest.mark.parametrize("role", list(Role))
async def test_board_tells_of_what_one_may_see_and_never_of_the_rest(gateway: Gateway, role: Role) -> None:
    own, foreign = await task("alice"), [await task("bob")]

    async def submit_last() -> str:
        foreign.append(await task("bob"))
        return await task("alice")

    found = await followed(gateway.by(Principal("alice", role)), MANY["Subscription.tasksChanged"], submit_last)
    assert own in found
    assert len(found) == (4 if role is Role.ADMIN else 2)
    assert set(foreign) <= found if role is Role.ADMIN else not set(foreign) & found


@pytest.mark.parametrize("role", list(Role))
async def test_batch_of_another_is_as_empty_as_one_that_is_not_there(gateway: Gateway, role: Role) -> None:
    alice, ident = gateway.by(Principal("alice", role)), await batch("bob")
    document = "query ($id: ID!) { tasks(filter: {batchId: $id}) { totalCount nodes { id } pageInfo { endCursor } } }"
    found, nothing = await alice.get(document, id=ident), await alice.get(document, id=str(new_id()))
    if role is Role.ADMIN:
        assert found["tasks"]["totalCount"] == 1
    else:
        assert found == nothing


async def test_board_of_another_s_batch_tells_nothing(gateway: Gateway) -> None:
    stored = await Batch(owner="bob", total=2).insert()
    await task("bob", batch_id=stored.id)
    own = await task("alice", batch_id=stored.id)

    async def submit_last() -> str:
        await task("bob", batch_id=stored.id)
        return await task("alice", batch_id=stored.id)

    document = "subscription ($id: ID!) { tasksChanged(filter: {batchId: $id}) { id } }"
    found = await followed(gateway.of("alice"), document, submit_last, id=str(stored.id))
    assert own in found
    assert len(found) == 2


async def told(gateway: Gateway, document: str, ident: str) -> str:
    """Return all that is answered about an id, with the id itself taken out."""
    if not document.startswith("subscription"):
        answer = await gateway.ask(document, id=ident)
        return repr((answer.data, answer.errors)).replace(ident, "<id>")
    answers = []
    async with asyncio.timeout(20):
        source = await gateway.schema.subscribe(document, variable_values={"id": ident}, context_value=gateway.context)
        async for result in source:
            answers.append((result.data, mask(result.errors or [], "c-1")))
            await source.aclose()
    return repr(answers).replace(ident, "<id>")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_another_s_and_what_is_not_there_are_answered_in_the_same_words(gateway: Gateway, role: Role) -> None:
    alice = gateway.by(Principal("alice", role))
    states: tuple[Make, ...] = (task, ended_task, lambda owner: task(owner, TaskStatus.RUNNING), batch)
    for name, (document, _) in OWNED.items():
        unknown = await told(alice, document, str(new_id()))
        words = expected(name, role, gateway, is_own=False)
        assert ("{'node': None}" if words == "NULL" else f"'code': '{words}'") in unknown
        for make in states:
            assert await told(alice, document, await make("bob")) == unknown, name
