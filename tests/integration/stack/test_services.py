"""The servers that tests and `headway up` start: real, configured as queues need it, and gone without a trace."""

from pathlib import Path

from redis.asyncio import Redis

from core.connections import MongoClient, open_amqp
from core.documents import Item
from core.settings import Settings
from stack import services
from stack.guard import signal_group
from stack.process import Child, Guard, free_port


async def test_mongodb_server_stores_documents_and_has_their_indexes(mongo: MongoClient, settings: Settings) -> None:
    await Item(name="a thing").insert()

    assert await Item.find(Item.name == "a thing").count() == 1
    indexes = await mongo[settings.mongo_database]["tasks"].index_information()
    assert indexes["owner_1_idempotency_key_1"]["unique"]


async def test_redis_never_evicts_and_persists_every_second(redis: Redis) -> None:
    assert await redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert await redis.config_get("append*") | {"appendonly": "yes", "appendfsync": "everysec"} == (
        await redis.config_get("append*")
    )


async def test_rabbitmq_takes_quorum_queues_and_confirms(settings: Settings) -> None:
    connection = await open_amqp(settings)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = await channel.declare_queue(settings.namespace, durable=True, arguments={"x-queue-type": "quorum"})
        assert queue.declaration_result.message_count == 0
        await queue.delete(if_unused=False, if_empty=False)


def test_stopped_rabbitmq_leaves_no_process_and_finds_its_data_again(tmp_path: Path, process_guard: Guard) -> None:
    for _ in range(2):
        children = [
            Child(program, tmp_path / f"{program.role}.log", process_guard)
            for program in services.rabbitmq(tmp_path, free_port())
        ]
        for child in children:
            child.start()
            child.await_ready()
        groups = [child.pid for child in children if child.pid is not None]
        stopped = [child.stop(within_s=20) for child in reversed(children)]

        assert stopped == [True, True], (tmp_path / "rabbitmq.log").read_text()
        assert not any(signal_group(group, 0) for group in groups)
        assert (tmp_path / "rabbitmq" / "mnesia" / "headway@localhost").is_dir()
