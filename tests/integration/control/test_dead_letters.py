"""What could not be run: kept with its reason, listed, sent again, discarded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import aio_pika
import pytest
from pymongo.errors import AutoReconnect

from core.connections import open_amqp
from core.documents import DeadLetter, Task
from core.ids import parse_id
from core.messages import queue_name
from core.settings import Settings
from core.states import TERMINAL, Priority, TaskStatus
from gateway.identity.principals import LOCAL
from jobs import dead_letters
from jobs.dead_letters import BODY_BYTES, bury_message, bury_task
from jobs.metrics import DEAD_LETTERS
from tests.integration.control.conftest import RETRY, Store
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.jobs.conftest import Launch, until

Send = Callable[[bytes], Awaitable[None]]
LETTERS = """
query ($first: Int, $after: String) {
  deadLetters(first: $first, after: $after) {
    totalCount nodes { id reason queue size isComplete text taskId at } pageInfo { hasNextPage endCursor }
  }
}
"""
RESEND = "mutation ($id: ID!) { resendDeadLetter(id: $id) { id task { id retryOf status } } }"
DISCARD = "mutation ($id: ID!) { discardDeadLetter(id: $id) }"
SUBMIT = 'mutation ($input: JSON!) { submitTask(kind: "steps", input: $input) { id } }'


async def listed(gateway: Gateway) -> list[dict[str, Any]]:
    """Return the dead letters, the latest first."""
    return list((await gateway.get(LETTERS))["deadLetters"]["nodes"])


async def until_listed(gateway: Gateway, holds: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    """Return the dead letters once the condition holds for them."""
    async with asyncio.timeout(60):
        while True:
            if holds(letters := await listed(gateway)):
                return letters
            await asyncio.sleep(0.05)


@pytest.fixture
def gateway(gateway: Gateway) -> Gateway:
    """The replica as an admin asks it: nobody else sees dead letters."""
    return gateway.by(LOCAL)


@pytest.fixture
async def send(settings: Settings, gateway: Gateway) -> AsyncIterator[Send]:
    """Put bytes into the queue of normal priority."""
    connection = await open_amqp(settings)
    channel = await connection.channel()
    queue = queue_name(settings.namespace, Priority.NORMAL)
    await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})

    async def put(body: bytes) -> None:
        await channel.default_exchange.publish(aio_pika.Message(body), routing_key=queue)

    yield put
    await connection.close()


async def test_unreadable_message_is_listed_sent_again_and_discarded(
    gateway: Gateway, launch: Launch, send: Send, settings: Settings
) -> None:
    launch("bridge")
    await send(b"\xffnot json")
    (letter,) = await until_listed(gateway, len)
    assert (letter["size"], letter["isComplete"], letter["taskId"]) == (9, True, None)
    assert letter["text"] == "\ufffdnot json"
    assert letter["queue"] == queue_name(settings.namespace, Priority.NORMAL)
    assert letter["reason"].startswith("expected a task message as JSON")

    sent = (await gateway.get(RESEND, id=letter["id"]))["resendDeadLetter"]
    assert sent == {"id": letter["id"], "task": None}
    (again,) = await until_listed(gateway, lambda letters: letters and letters[0]["id"] != letter["id"])
    assert (again["text"], again["reason"]) == (letter["text"], letter["reason"])
    assert (await gateway.ask(RESEND, id=letter["id"])).code == "NOT_FOUND"

    assert (await gateway.get(DISCARD, id=again["id"]))["discardDeadLetter"] == again["id"]
    assert await listed(gateway) == []
    assert (await gateway.ask(DISCARD, id=again["id"])).code == "NOT_FOUND"


async def test_readable_message_behind_an_unreadable_one_is_not_held_up(
    gateway: Gateway, launch: Launch, send: Send
) -> None:
    for body in (b"", b"{}", b'{"task_id":"x","epoch":1}'):
        await send(body)
    task = (await gateway.get(SUBMIT, input={"steps": 1}))["submitTask"]
    launch("bridge")
    launch("worker")
    await until(parse_id(task["id"]), TaskStatus.SUCCEEDED, within_s=60)
    letters = await until_listed(gateway, lambda letters: len(letters) == 3)
    assert all(letter["reason"] for letter in letters)


async def test_message_too_large_to_keep_can_t_be_sent_again(gateway: Gateway, launch: Launch, send: Send) -> None:
    launch("bridge")
    await send(b"[" + b" " * BODY_BYTES)
    (letter,) = await until_listed(gateway, len)
    assert (letter["size"], letter["isComplete"], len(letter["text"])) == (BODY_BYTES + 1, False, BODY_BYTES)
    answer = await gateway.ask(RESEND, id=letter["id"])
    assert answer.code == "CONFLICT"
    assert "only 65,536 are kept" in answer.errors[0]["message"]
    assert await listed(gateway) == [letter]


async def test_message_of_another_installation_is_not_sent(gateway: Gateway) -> None:
    letter = await DeadLetter(reason="no", queue="amq.somewhere", body=b"x", size=1).insert()
    assert (await gateway.ask(RESEND, id=str(letter.id))).code == "CONFLICT"


async def test_task_of_an_unknown_kind_is_listed_and_runs_once_the_kind_is_there(
    gateway: Gateway, launch: Launch
) -> None:
    launch("bridge")
    ignorant = launch("worker", HEADWAY_KIND_MODULES="")
    task_id = (await gateway.get(SUBMIT, input={"steps": 1}))["submitTask"]["id"]
    failed = await until(parse_id(task_id), *TERMINAL, within_s=60)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (TaskStatus.FAILED, "UNKNOWN_KIND")
    (letter,) = await until_listed(gateway, len)
    assert (letter["taskId"], letter["queue"], letter["text"], letter["size"]) == (task_id, None, None, 0)
    assert letter["reason"] == "The kind steps is not installed on the worker that got the task"
    stranger = gateway.of("someone else")
    assert (await stranger.ask(LETTERS)).code == "FORBIDDEN"
    assert (await stranger.ask(DISCARD, id=letter["id"])).code == "FORBIDDEN"

    ignorant.terminate()
    await asyncio.to_thread(ignorant.wait, 30)
    launch("worker")
    new = (await gateway.get(RESEND, id=letter["id"]))["resendDeadLetter"]["task"]
    assert new["retryOf"] == task_id
    assert await listed(gateway) == []
    await until(parse_id(new["id"]), TaskStatus.SUCCEEDED, within_s=60)


async def failed_as_unknown(store: Store, kind: str) -> Task:
    """Store a task that failed because its kind was unknown, with its letter."""
    task = await store(TaskStatus.FAILED, kind=kind, error={"code": "UNKNOWN_KIND", "message": "no such kind"})
    await bury_task(task, "no such kind")
    return task


async def test_letter_goes_when_its_task_is_retried_otherwise_and_stays_when_it_can_t_be(
    gateway: Gateway, store: Store
) -> None:
    known = await failed_as_unknown(store, "steps")
    unknown = await failed_as_unknown(store, "gone")
    await gateway.get(RETRY, id=str(known.id))
    assert (await gateway.ask(RESEND, id=str(unknown.id))).code == "CONFLICT"
    assert [letter["taskId"] for letter in await listed(gateway)] == [str(unknown.id)]
    await failed_as_unknown(store, "steps")
    await gateway.get("mutation { retryTasks(filter: {}) { changed } }")
    assert [letter["taskId"] for letter in await listed(gateway)] == [str(unknown.id)]


async def test_letters_are_paged_latest_first(gateway: Gateway) -> None:
    for number in range(5):
        await bury_message(b"%d" % number, f"reason {number}", queue="q", is_redelivered=False)
    first = (await gateway.get(LETTERS, first=3))["deadLetters"]
    rest = (await gateway.get(LETTERS, first=3, after=first["pageInfo"]["endCursor"]))["deadLetters"]
    texts = [letter["text"] for letter in (*first["nodes"], *rest["nodes"])]
    assert texts == ["4", "3", "2", "1", "0"]
    assert (first["totalCount"], rest["totalCount"]) == (5, 5)
    assert (first["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    assert (await gateway.ask(LETTERS, first=101)).code == "BAD_USER_INPUT"


async def test_message_delivered_twice_is_stored_once(gateway: Gateway) -> None:
    before = DEAD_LETTERS.labels("unreadable")._value.get()
    await bury_message(b"x", "no", queue="q", is_redelivered=False)
    await bury_message(b"x", "no", queue="q", is_redelivered=True)
    await bury_message(b"x", "no", queue="another", is_redelivered=True)
    await bury_message(b"x", "no", queue="q", is_redelivered=False)
    assert len(await listed(gateway)) == 3
    assert DEAD_LETTERS.labels("unreadable")._value.get() - before == 3


async def test_burial_waits_for_mongodb(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = DeadLetter.insert
    failures = 2

    async def failing(self: DeadLetter) -> DeadLetter:
        nonlocal failures
        if failures:
            failures -= 1
            raise AutoReconnect("gone")
        return await insert(self)

    monkeypatch.setattr(DeadLetter, "insert", failing)
    monkeypatch.setattr(dead_letters, "RETRY_S", 0.01)
    await bury_message(b"x", "no \ud800", queue="q", is_redelivered=False)
    (letter,) = await listed(gateway)
    assert letter["reason"] == "no ?"


async def test_unknown_letters_are_not_found(gateway: Gateway) -> None:
    for operation in (RESEND, DISCARD):
        assert (await gateway.ask(operation, id=str(uuid4()))).code == "NOT_FOUND"
        assert (await gateway.ask(operation, id="x")).code == "BAD_USER_INPUT"
