"""An acknowledged write outlives the database's process: the promise that every submit's answer rests on."""

from pathlib import Path

from core.connections import open_mongo
from core.documents import Item
from core.settings import Settings
from stack import services
from stack.guard import signal_group
from stack.process import Child, Guard, free_port

WRITES = 300


async def test_acknowledged_writes_survive_kill_9_of_the_database(tmp_path: Path, process_guard: Guard) -> None:
    port = free_port()
    settings = Settings(mongo_url=f"mongodb://127.0.0.1:{port}/?directConnection=true", mongo_pool_min=0)
    for expected in (0, WRITES):
        server = Child(services.mongodb(tmp_path, port), tmp_path / "mongodb.log", process_guard)
        server.start()
        server.await_ready()
        client = await open_mongo(settings)
        try:
            assert await Item.count() == expected
            for number in range(WRITES - expected):
                await Item(name=f"item {number}").insert()
        finally:
            await client.close()
            assert server.pid is not None
            signal_group(server.pid, 9)
            server.stop()
