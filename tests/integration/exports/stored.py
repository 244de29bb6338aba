"""Files as tasks leave them."""

from collections.abc import AsyncIterator

from core import files
from core.documents import Task
from core.file_document import File
from core.ids import new_id
from core.states import TaskStatus


async def stored_file(
    content: bytes = b"name\nx\n",
    *,
    owner: str = "local",
    filename: str = "items.csv",
    status: TaskStatus = TaskStatus.SUCCEEDED,
    names_it: bool = True,
) -> File:
    """Store a file and its task with this status, whose result names the file or is null."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    task_id = new_id()
    file = await files.store(task_id, 1, filename, "text/csv; charset=utf-8", pieces())
    await Task(
        id=task_id,
        kind="exportItems",
        owner=owner,
        status=status,
        input={},
        attempt=1,
        result={"file_id": str(file.id)} if names_it else None,
        max_attempts=1,
        timeout_s=60.0,
    ).insert()
    return file
