"""A submitted task on its way to the broker, with every service slow or away in turn."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from beanie import init_beanie
from prometheus_client import REGISTRY
from pymongo import AsyncMongoClient
from redis.asyncio import Redis
from structlog.testing import capture_logs

from core.connections import open_amqp, open_redis
from core.documents import DOCUMENTS, Task
from core.ids import parse_id
from core.messages import TaskMessage, decode_messages, queue_name
from core.publisher import RabbitPublisher
from core.settings import Settings
from core.states import Priority, TaskStatus
from gateway import handover
from gateway.submit import SubmitOptions, new_task
from tests.integration.gateway_schema.conftest import OpenGateway
from tests.integration.gateway_schema.proxy import proxied
from tests.integration.gateway_schema.submits import (
    DATA,
    PROCESS,
    BrokenPublisher,
    HeldUpPublisher,
    RefusingPublisher,
    SlowPublisher,
)
from tests.integration.jobs.conftest import until_true
from tests.unit.gateway_schema.sample_kind import PAINT


def numbers(name: str) -> float:
    """Return what this process counts under a name."""
    found = REGISTRY.get_sample_value(name)
    assert found is not None
    return found


async def test_rabbitmq_holds_the_message_in_the_queue_of_its_priority(
    open_gateway: OpenGateway, rabbit_publisher: RabbitPublisher, amqp_url: str, settings: Settings
) -> None:
    gateway = await open_gateway(rabbit_publisher, None)
    answer = (await gateway.get(PROCESS, input=DATA, options={"priority": "HIGH"}))["processData"]

    assert answer["publishedAt"] is not None
    stored = await until_true(parse_id(answer["id"]), lambda task: task.published_at)
    connection = await open_amqp(settings.model_copy(update={"amqp_url": amqp_url}))
    async with connection, connection.channel() as channel:
        queue = await channel.get_queue(queue_name(settings.namespace, Priority.HIGH), ensure=True)
        message = await queue.get()
        assert message is not None
        await message.ack()
    assert decode_messages(message.body) == (TaskMessage(stored.id, 1, None, stored.correlation_id),)


async def test_a_slow_broker_is_waited_for_half_a_second_and_its_confirm_is_still_noted(
    open_gateway: OpenGateway,
) -> None:
    publisher = SlowPublisher()
    gateway = await open_gateway(publisher, None)
    waited_s = numbers("headway_submit_confirm_seconds_sum")
    started = asyncio.get_running_loop().time()
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]

    assert 0.4 < asyncio.get_running_loop().time() - started < 3
    assert (answer["status"], answer["publishedAt"]) == ("PENDING", None)
    publisher.let.set()
    await gateway.services.submitter.aclose()
    assert numbers("headway_submit_confirm_seconds_sum") > waited_s + 0.4
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert stored.published_at is not None


async def test_each_answer_tells_the_time_of_publishing_that_is_stored(open_gateway: OpenGateway) -> None:
    publisher = SlowPublisher()
    publisher.let.set()
    gateway = await open_gateway(publisher, None)
    answers = []
    for _ in range(3):
        answers.append((await gateway.get(PROCESS, input=DATA))["processData"])
        await asyncio.sleep(0.002)  # The next one's differs.
    await gateway.services.submitter.aclose()
    for answer in answers:
        stored = await Task.get(parse_id(answer["id"]))
        assert stored is not None
        assert stored.published_at == datetime.fromisoformat(answer["publishedAt"])


async def test_a_time_of_publishing_that_is_stored_already_stays(open_gateway: OpenGateway) -> None:
    publisher = SlowPublisher()
    gateway = await open_gateway(publisher, None)
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]
    submitted_at = datetime.fromisoformat(answer["createdAt"])
    await Task.find_one({"_id": parse_id(answer["id"])}).update({"$set": {"published_at": submitted_at}})
    publisher.let.set()
    await gateway.services.submitter.aclose()
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert stored.published_at == submitted_at


@pytest.mark.parametrize("is_batch", [True, False])
@pytest.mark.parametrize("publisher", [HeldUpPublisher, BrokenPublisher])
async def test_a_task_is_noted_as_published_whatever_becomes_of_another_priority_s(
    open_gateway: OpenGateway, publisher: type[SlowPublisher], is_batch: bool
) -> None:
    taker = publisher()
    submitter = (await open_gateway(taker, None)).services.submitter
    high, normal = (
        new_task(PAINT, {"title": "x"}, SubmitOptions(priority), owner="local", correlation_id=None)
        for priority in (Priority.HIGH, Priority.NORMAL)
    )
    if is_batch:
        await submitter.accept_all([high, normal])
    else:
        await asyncio.gather(submitter.accept(high), submitter.accept(normal))
    await until_true(normal.id, lambda stored: stored.published_at, within_s=3)
    assert high.published_at is None
    taker.let.set()


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
    unconfirmed = numbers("headway_unconfirmed_submits_total")
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]
    assert numbers("headway_unconfirmed_submits_total") == unconfirmed + 1
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert (stored.status, stored.published_at) == (TaskStatus.PENDING, None)


async def test_only_confirmed_tasks_count_in_how_long_a_confirm_takes(open_gateway: OpenGateway) -> None:
    publisher = SlowPublisher()
    publisher.let.set()
    counted = numbers("headway_submit_confirm_seconds_count")
    for taker, options, more in ((RefusingPublisher(), {}, 0), (publisher, {"delayS": 60}, 0), (publisher, {}, 1)):
        gateway = await open_gateway(taker, None)
        await gateway.get(PROCESS, input=DATA, options=options)
        counted += more
        assert numbers("headway_submit_confirm_seconds_count") == counted


async def test_a_line_of_a_refusal_names_a_task_and_its_request(open_gateway: OpenGateway) -> None:
    gateway = await open_gateway(RefusingPublisher(), None)
    with capture_logs() as said:
        answer = (await gateway.get(PROCESS, input=DATA))["processData"]
        await gateway.services.submitter.aclose()
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    (line,) = (line for line in said if line["event"].startswith("The broker did not take"))
    assert (line["tasks"], line["task_id"], line["correlation_id"]) == (1, str(stored.id), stored.correlation_id)
    assert stored.correlation_id


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


async def test_a_message_goes_out_after_its_task_s_first_event(
    open_gateway: OpenGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "APPEND_WAIT_S", 60.0)
    publisher = SlowPublisher()
    publisher.let.set()
    connections: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    redis = Redis(port=silent.sockets[0].getsockname()[1])
    gateway = await open_gateway(publisher, redis)
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]
    assert answer["publishedAt"] is None
    assert publisher.asked == []
    await gateway.services.submitter.aclose(deadline_s=0.0)
    for connection in connections:
        connection.close()
    silent.close()
    await silent.wait_closed()
    await redis.aclose()


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
