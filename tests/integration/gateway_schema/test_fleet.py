"""What waits and who is at work, as the schema tells it: to each what it may see, to an admin everything."""

from datetime import timedelta
from typing import Any

from core.clock import utc_now
from core.documents import Lease, Role, Task
from core.states import Priority, TaskStatus
from gateway.identity.principals import Principal
from tests.integration.gateway_schema.asking import Gateway

FLEET = "{ fleet { backlog { priority tasks since } workers { name tasks seenAt } } }"


async def store(owner: str, status: TaskStatus, **fields: Any) -> Task:
    """Store a task."""
    task = Task(kind="paint", owner=owner, status=status, input={}, max_attempts=1, timeout_s=60, **fields)
    return await task.insert()


async def look(gateway: Gateway, owner: str, role: Role) -> tuple[dict[str, tuple[int, Any]], dict[str, int]]:
    """Return what is told of each priority, and how many tasks each worker holds."""
    fleet = (await gateway.by(Principal(owner, role)).get(FLEET))["fleet"]
    backlog = {each["priority"]: (each["tasks"], each["since"]) for each in fleet["backlog"]}
    return backlog, {each["name"]: each["tasks"] for each in fleet["workers"]}


async def test_each_sees_what_waits_and_works_of_its_own_and_an_admin_all(gateway: Gateway) -> None:
    lease = Lease(worker="worker-1", until=utc_now() + timedelta(seconds=10))
    first = await store("alice", TaskStatus.PENDING, priority=Priority.HIGH)
    await store("alice", TaskStatus.PENDING, priority=Priority.HIGH)
    await store("alice", TaskStatus.RUNNING, lease=lease, worker_seen_at=utc_now())
    await store("bob", TaskStatus.CANCELLING, lease=lease)
    await store("bob", TaskStatus.PENDING, priority=Priority.LOW)
    await store("bob", TaskStatus.SUCCEEDED)

    backlog, workers = await look(gateway, "alice", Role.VIEWER)
    assert backlog["HIGH"] == (2, first.status_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    assert (backlog["NORMAL"], backlog["LOW"]) == ((0, None), (0, None))
    assert workers == {"worker-1": 1}

    backlog, workers = await look(gateway, "root", Role.ADMIN)
    assert [backlog[name][0] for name in ("HIGH", "NORMAL", "LOW")] == [2, 0, 1]
    assert workers == {"worker-1": 2}
