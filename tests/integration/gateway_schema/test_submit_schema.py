"""Submitting through the schema: durable first, then the stream and the broker."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from beanie import init_beanie
from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from core.connections import open_amqp, open_redis
from core.documents import DOCUMENTS, Task
from core.events import Cursor, StateChanged
from core.ids import parse_id
from core.messages import TaskMessage, decode_message, queue_name
from core.publisher import PublishFailed, RabbitPublisher
from core.settings import Settings
from core.states import Priority, TaskStatus
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.gateway_schema.conftest import OpenGateway
from tests.integration.gateway_schema.proxy import proxied

PROCESS = """
mutation ($input: ProcessDataInput!, $options: TaskOptions) {
  processData(input: $input, options: $options) {
    __typename id kind status cursor delivery attempt maxAttempts priority timeoutS createdAt runAt deadline publishedAt
    input { data iterations } result { totalProcessed } inputJson resultJson error { code }
    progress { current total percent message } timeline { status at attempt by reason error { code } cursor }
  }
}
"""
SUBMIT = """
mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) {
    __typename id status ... on ProcessDataTask { input { iterations } }
  }
}
"""
DATA = {"data": "hello"}


class SlowPublisher:
    """Takes a message only when it is let."""

    def __init__(self) -> None:
        self.asked: list[TaskMessage] = []
        self.reached = asyncio.Event()
        self.let = asyncio.Event()

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        self.asked.append(message)
        self.reached.set()
        await self.let.wait()
        return True

    async def check(self) -> None:
        return None


class RefusingPublisher(SlowPublisher):
    """Takes nothing."""

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        self.asked.append(message)
        raise PublishFailed("no broker")


async def test_a_submit_is_stored_and_told_before_it_is_answered(gateway: Gateway) -> None:
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]

    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    entry = {"status": "PENDING", "attempt": 0, "by": "gateway", "reason": None, "error": None, "cursor": "1-1"}
    assert answer == {
        "__typename": "ProcessDataTask",
        "id": str(stored.id),
        "kind": "processData",
        "status": "PENDING",
        "cursor": "1-1",
        "delivery": "LIVE",
        "attempt": 0,
        "maxAttempts": 3,
        "priority": "NORMAL",
        "timeoutS": 600.0,
        "createdAt": answer["createdAt"],
        "runAt": None,
        "deadline": None,
        "publishedAt": None,
        "input": {"data": "hello", "iterations": 100},
        "result": None,
        "inputJson": {"data": "hello", "iterations": 100},
        "resultJson": None,
        "error": None,
        "progress": {"current": 0, "total": None, "percent": None, "message": None},
        "timeline": [entry | {"at": answer["createdAt"]}],
    }
    assert (stored.status, stored.cursor, stored.owner) == (TaskStatus.PENDING, Cursor(1, 1), "local")
    assert stored.trace is not None
    assert await gateway.services.streams.read(stored.id, Cursor(0, 0)) == [
        (Cursor(1, 1), StateChanged(at=stored.created_at, attempt=0, status=TaskStatus.PENDING, by="gateway"))
    ]


async def test_rabbitmq_holds_the_message_in_the_queue_of_its_priority(
    open_gateway: OpenGateway, rabbit_publisher: RabbitPublisher, amqp_url: str, settings: Settings
) -> None:
    gateway = await open_gateway(rabbit_publisher, None)
    answer = (await gateway.get(PROCESS, input=DATA, options={"priority": "HIGH"}))["processData"]

    assert answer["publishedAt"] is not None
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert stored.published_at is not None
    connection = await open_amqp(settings.model_copy(update={"amqp_url": amqp_url}))
    async with connection, connection.channel() as channel:
        queue = await channel.get_queue(queue_name(settings.namespace, Priority.HIGH), ensure=True)
        message = await queue.get()
        assert message is not None
        await message.ack()
    assert decode_message(message.body) == TaskMessage(stored.id, 1, stored.trace)


async def test_a_slow_broker_is_waited_for_half_a_second_and_its_confirm_is_still_noted(
    open_gateway: OpenGateway,
) -> None:
    publisher = SlowPublisher()
    gateway = await open_gateway(publisher, None)
    started = asyncio.get_running_loop().time()
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]

    assert 0.4 < asyncio.get_running_loop().time() - started < 3
    assert (answer["status"], answer["publishedAt"]) == ("PENDING", None)
    publisher.let.set()
    await gateway.services.submitter.aclose()
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert stored.published_at is not None


async def test_closing_gives_up_on_a_broker_that_never_confirms(open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(SlowPublisher(), None)
    await gateway.get(PROCESS, input=DATA)
    await gateway.services.submitter.aclose(deadline_s=0.05)
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("hand over")] == []


async def test_a_client_that_goes_away_does_not_stop_the_hand_over(open_gateway: OpenGateway) -> None:
    publisher = SlowPublisher()
    gateway = await open_gateway(publisher, None)
    asking = asyncio.create_task(gateway.ask(PROCESS, input=DATA))
    await publisher.reached.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    publisher.let.set()
    await gateway.services.submitter.aclose()
    (stored,) = await Task.find_all().to_list()
    assert stored.published_at is not None


async def test_a_broker_that_refuses_leaves_the_task_pending(open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(RefusingPublisher(), None)
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert (stored.status, stored.published_at) == (TaskStatus.PENDING, None)


async def test_rabbitmq_down_leaves_the_task_pending_and_the_next_one_is_published(
    open_gateway: OpenGateway, amqp_url: str, settings: Settings
) -> None:
    async with proxied(amqp_url) as (proxy, url):
        connection = await open_amqp(settings.model_copy(update={"amqp_url": url}))
        gateway = await open_gateway(RabbitPublisher(connection, settings.namespace), None)
        assert (await gateway.get(PROCESS, input=DATA))["processData"]["publishedAt"] is not None
        await proxy.cut()
        down = (await gateway.get(PROCESS, input=DATA))["processData"]
        assert (down["status"], down["publishedAt"]) == ("PENDING", None)
        stored = await Task.get(parse_id(down["id"]))
        assert stored is not None
        assert (stored.status, stored.published_at) == (TaskStatus.PENDING, None)
        await proxy.mend()
        async with asyncio.timeout(20):
            await connection.connected.wait()
            # A publish right after an outage may still meet the old channel; each one waits half a second at most.
            while (await gateway.get(PROCESS, input=DATA))["processData"]["publishedAt"] is None:
                pass
        await connection.close()


async def test_redis_down_does_not_keep_a_task_from_the_broker(
    open_gateway: OpenGateway, redis_url: str, settings: Settings
) -> None:
    publisher = SlowPublisher()
    publisher.let.set()
    async with proxied(redis_url) as (proxy, url):
        its_redis: Redis = await open_redis(settings.model_copy(update={"redis_url": url}))
        gateway = await open_gateway(publisher, its_redis)
        await proxy.cut()
        answer = (await gateway.get(PROCESS, input=DATA))["processData"]
        assert answer["status"] == "PENDING"
        assert answer["publishedAt"] is not None
        await its_redis.aclose()


async def open_impatient_mongo(url: str, database: str) -> AsyncMongoClient[dict[str, Any]]:
    """Bind the documents to a client that gives up after a second, where the real one takes up to ten."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        url, uuidRepresentation="standard", tz_aware=True, timeoutMS=1_000
    )
    await init_beanie(database=client[database], document_models=list(DOCUMENTS))
    return client


async def test_mongodb_down_is_unavailable_and_nothing_is_published(
    open_gateway: OpenGateway, mongo_url: str, settings: Settings
) -> None:
    publisher = SlowPublisher()
    gateway = await open_gateway(publisher, None)
    async with proxied(mongo_url) as (proxy, url):
        client = await open_impatient_mongo(url, settings.mongo_database)
        try:
            await proxy.cut()
            for query, variables in (
                (PROCESS, {"input": DATA}),
                ("{ items { totalCount } }", {}),
                ("{ tasks { totalCount } }", {}),
                ('mutation { createItem(input: {name: "x"}) { id } }', {}),
            ):
                answer = await gateway.ask(query, **variables)
                assert answer.code == "UNAVAILABLE"
                assert answer.errors[0]["extensions"]["service"] == "MongoDB"
            assert publisher.asked == []
            await proxy.mend()
            assert (await gateway.get("{ tasks { totalCount } }"))["tasks"]["totalCount"] == 0
        finally:
            await client.close()


@pytest.mark.parametrize(
    "options",
    [
        {"delayS": 3600.5},
        {"runAt": "2100-01-01T00:00:00Z"},
    ],
)
async def test_a_task_for_later_is_scheduled_and_not_published(
    open_gateway: OpenGateway, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.submit.MAX_AHEAD_S", 1e10)
    publisher = SlowPublisher()
    gateway = await open_gateway(publisher, None)
    answer = (await gateway.get(PROCESS, input=DATA, options=options))["processData"]

    assert (answer["status"], [entry["status"] for entry in answer["timeline"]]) == ("SCHEDULED", ["SCHEDULED"])
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    due = stored.created_at + timedelta(seconds=3600.5) if "delayS" in options else datetime(2100, 1, 1, tzinfo=UTC)
    assert stored.run_at == due
    assert answer["runAt"] == due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ((cursor, event),) = await gateway.services.streams.read(stored.id, Cursor(0, 0))
    assert isinstance(event, StateChanged)
    assert (cursor, event.status) == (Cursor(1, 1), TaskStatus.SCHEDULED)
    assert publisher.asked == []


async def test_options_are_stored(gateway: Gateway) -> None:
    options = {
        "priority": "LOW",
        "runAt": "2001-01-01T00:00:00Z",
        "deadline": "2100-01-01T00:00:00Z",
        "timeoutS": 1.5,
        "maxAttempts": 7,
        "idempotencyKey": "k",
    }
    answer = (await gateway.get(PROCESS, input=DATA, options=options))["processData"]
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert (stored.status, stored.run_at, stored.priority) == (TaskStatus.PENDING, None, Priority.LOW)
    assert (stored.timeout_s, stored.max_attempts, stored.idempotency_key) == (1.5, 7, "k")
    assert stored.deadline == datetime(2100, 1, 1, tzinfo=UTC)


async def test_concurrent_submits_with_one_key_make_one_task(gateway: Gateway) -> None:
    options = {"idempotencyKey": "once"}
    answers = await asyncio.gather(*(gateway.get(PROCESS, input=DATA, options=options) for _ in range(20)))
    assert len({answer["processData"]["id"] for answer in answers}) == 1
    assert await Task.count() == 1
    other = await gateway.of("someone else").get(PROCESS, input=DATA, options=options)
    assert other["processData"]["id"] != answers[0]["processData"]["id"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("processData", {"data": "hello", "iterations": 101}),
        ("processData", {"data": "hullo"}),
        ("importItems", {"format": "CSV", "content": "name\nx"}),
    ],
)
async def test_a_key_that_stands_for_something_else_is_a_conflict(
    gateway: Gateway, kind: str, value: dict[str, Any]
) -> None:
    options = {"idempotencyKey": "k"}
    first = (await gateway.get(PROCESS, input=DATA, options=options))["processData"]
    answer = await gateway.ask(SUBMIT, kind=kind, input=value, options=options)
    assert answer.code == "CONFLICT"
    assert answer.errors[0]["extensions"]["field"] == "options.idempotencyKey"
    assert first["id"] in answer.errors[0]["message"]
    assert await Task.count() == 1


async def test_any_kind_can_be_submitted_as_json(gateway: Gateway) -> None:
    answer = (await gateway.get(SUBMIT, kind="processData", input={"data": "x", "iterations": 3}))["submitTask"]
    assert answer == {
        "__typename": "ProcessDataTask",
        "id": answer["id"],
        "status": "PENDING",
        "input": {"iterations": 3},
    }


@pytest.mark.parametrize(
    ("kind", "value", "field", "expected"),
    [
        ("processData", {"data": "x", "iterations": 0}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {"data": "x", "iterations": 10**9}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {"data": "x", "iterations": 10**12}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {"data": "x", "iterations": "5"}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {}, "input.data", "text"),
        ("processData", {"data": "x" * 70_000}, "input.data", "at most 65,536 bytes in UTF-8"),
        ("processData", [1], "input", "an object"),
        ("importItems", {"format": "XML", "content": "x"}, "input.format", "one of CSV, NDJSON"),
        ("importItems", {"format": "CSV", "content": " "}, "input.content", None),
        ("importItems", {"format": "CSV", "content": "name\n" + "x" * 20_000_000}, "input", None),
        ("importItems", {"format": "CSV", "content": "name\nx", "keyField": "iata"}, "input.keyField", None),
        ("nothing", {}, "kind", "one of the installed kinds importItems, paintPicture, processData"),
        ("", {}, "kind", "one of the installed kinds importItems, paintPicture, processData"),
    ],
)
async def test_a_wrong_submit_names_the_field_and_stores_nothing(
    gateway: Gateway, kind: str, value: Any, field: str, expected: str | None
) -> None:
    answer = await gateway.ask(SUBMIT, kind=kind, input=value)
    assert answer.code == "BAD_USER_INPUT"
    extensions = answer.errors[0]["extensions"]
    assert extensions["field"] == field
    assert expected is None or extensions["expected"] == expected
    assert len(answer.errors[0]["message"]) < 400
    assert await Task.count() == 0


async def test_a_wrong_option_names_the_field_and_stores_nothing(gateway: Gateway) -> None:
    answer = await gateway.ask(PROCESS, input=DATA, options={"delayS": -1})
    assert answer.errors[0]["extensions"]["field"] == "options.delayS"
    assert await Task.count() == 0


async def test_every_form_of_field_survives_from_the_mutation_to_the_typed_answer(gateway: Gateway) -> None:
    query = """
    mutation ($input: PaintInput!) { paintPicture(input: $input) {
      inputJson input { title colour style dpi copies serial corners { xPos yPos } tags due price ref extra anything }
    } }
    """
    value = {
        "title": "T",
        "colour": "DARK_BLUE",
        "style": "INK",
        "dpi": 300,
        "copies": 2,
        "serial": 2**40,
        "corners": [{"xPos": 1.5}, {"xPos": 2, "yPos": 3}],
        "tags": ["a"],
        "due": "2026-01-31T12:00:00Z",
        "price": "2.50",
        "ref": "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e",
        "extra": {"a_b": [1, {"c": None}]},
        "anything": 7,
    }
    answer = (await gateway.get(query, input=value))["paintPicture"]
    shown = value | {"corners": [{"xPos": 1.5, "yPos": 0.0}, {"xPos": 2.0, "yPos": 3.0}]}
    assert answer["input"] == shown
    assert answer["inputJson"] == shown
    defaults = (await gateway.get(query, input={"title": "T", "corners": None, "due": None}))["paintPicture"]["input"]
    assert defaults == {
        "title": "T",
        "colour": "RED",
        "style": "OIL",
        "dpi": 72,
        "copies": 1,
        "serial": 0,
        "corners": [],
        "tags": [],
        "due": None,
        "price": "1.5",
        "ref": None,
        "extra": {},
        "anything": None,
    }
