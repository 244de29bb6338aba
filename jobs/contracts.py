"""Whether the kinds as they are here can run what was submitted to them before: `python -m jobs.contracts`.

To be run before a deploy, with the new code and the old tasks. Compatible is what takes the input of every task that
has not ended, so a new field needs a default, and a value that is in use must stay allowed.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError

from core.connections import open_mongo
from core.errors import StartupError
from core.settings import Settings
from core.states import TERMINAL, TaskStatus
from jobs.kinds import Kind, load_kinds


async def broken_contracts(tasks: AsyncCollection[dict[str, Any]], kinds: Mapping[str, Kind]) -> list[str]:
    """Return a line for each kind that can't run some of its tasks that have not ended: how many, and why the oldest.

    Raises PyMongoError.
    """
    in_flight = {"status": {"$in": [status.value for status in TaskStatus if status not in TERMINAL]}}
    counts: Counter[str] = Counter()
    oldest: dict[str, tuple[UUID, str]] = {}
    async for task in tasks.find(in_flight, {"kind": True, "input": True}):
        name = task["kind"]
        if reason := _why_not(kinds.get(name), task["input"]):
            counts[name] += 1
            found = (task["_id"], reason)
            oldest[name] = min(oldest.get(name, found), found)
    return [
        f"{name}: {count} tasks in flight can't be run; {oldest[name][0]}: {oldest[name][1]}"
        for name, count in sorted(counts.items())
    ]


def _why_not(kind: Kind | None, task_input: Mapping[str, Any]) -> str:
    if kind is None:
        return "the kind is not installed"
    try:
        kind.input_model.model_validate(task_input)
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
    return ""


async def _check() -> int:
    settings = Settings()
    try:
        async with await open_mongo(settings, has_indexes=True) as mongo:
            broken = await broken_contracts(mongo[settings.mongo_database]["tasks"], load_kinds(settings.extra_kinds))
    except (StartupError, PyMongoError) as exc:
        sys.stderr.write(f"headway: {exc}\n")
        return 3
    for line in broken:
        sys.stderr.write(f"headway: {line}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_check()))
