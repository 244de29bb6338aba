"""Which tasks a board shows: the conditions that the `tasks` query sends to MongoDB, applied to documents at hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from core.documents import Task
from core.states import TaskStatus

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$in": lambda value, wanted: value in wanted,
    "$gte": lambda value, wanted: value is not None and value >= wanted,
    "$lt": lambda value, wanted: value is not None and value < wanted,
}


class BoardFilter:
    """All of the conditions have to hold. Of what they are about, only a task's status ever changes."""

    def __init__(self, conditions: Sequence[Mapping[str, Any]]) -> None:
        """Raises KeyError for an operator that is not among OPERATORS."""
        self._fixed: list[tuple[str, Callable[[Any, Any], bool], Any]] = []
        self._moving: list[tuple[Callable[[Any, Any], bool], Any]] = []
        for condition in conditions:
            for field, wanted in condition.items():
                for operator, operand in (wanted if isinstance(wanted, Mapping) else {"$in": [wanted]}).items():
                    if field == "status":
                        self._moving.append((OPERATORS[operator], operand))
                    else:
                        self._fixed.append((field, OPERATORS[operator], operand))

    def concerns(self, task: Task) -> bool:
        """Return whether the task matches with some status."""
        return all(holds(getattr(task, field), operand) for field, holds, operand in self._fixed)

    def shows(self, status: TaskStatus) -> bool:
        """Return whether a task that it concerns matches with this status."""
        return all(holds(status, operand) for holds, operand in self._moving)

    def tells(self, task: Task, earlier: Callable[[], Iterable[TaskStatus]]) -> bool:
        """Return whether the task matches, or did with one of the statuses that it had since it was told last."""
        return self.concerns(task) and (self.shows(task.status) or any(map(self.shows, earlier())))
