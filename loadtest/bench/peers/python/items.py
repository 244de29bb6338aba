"""The items that every peer holds in memory, as a database driver would return them."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID


def _read() -> list[dict[str, Any]]:
    stored = json.loads(Path(os.environ["BENCH_ITEMS"]).read_text(encoding="utf-8"))
    return [
        {
            "id": UUID(one["id"]),
            "name": one["name"],
            "description": one["description"],
            "metadata": one["metadata"],
            "created_at": datetime.fromisoformat(one["createdAt"]),
            "updated_at": datetime.fromisoformat(one["updatedAt"]),
        }
        for one in stored
    ]


ITEMS = _read()
