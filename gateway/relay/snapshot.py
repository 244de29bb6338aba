"""What a follower of a task is handed."""

from dataclasses import dataclass

from core.documents import Task
from core.events import Cursor
from core.states import Delivery


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A task as it stands at `task.cursor`, and how the news came.

    All followers of a task are handed the same object, so nobody may change the task, and what is rendered from it can
    be kept beside it.
    """

    task: Task
    delivery: Delivery

    @property
    def cursor(self) -> Cursor:
        """The id of the latest event that it tells of."""
        return self.task.cursor
