"""Draws a task that moves: a live bar in a terminal, a line for each change of status elsewhere."""

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.tasks import TaskView
from core.states import TaskStatus

STYLES = {
    TaskStatus.SUCCEEDED: "green",
    TaskStatus.FAILED: "red",
    TaskStatus.CANCELLED: "yellow",
    TaskStatus.EXPIRED: "yellow",
}


class TaskBar:
    """The bar of one task, drawn from what is shown first to the exit."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal
        self._told: tuple[TaskStatus, int] | None = None
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[kind]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}"),
            console=console,
            expand=True,
        )
        self._row = self._progress.add_task("", total=None, kind="", status="")

    def __enter__(self) -> "TaskBar":
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._progress.stop()

    def show(self, view: TaskView) -> None:
        """Draw the task as it is now."""
        style = STYLES.get(view.status)
        status = f"[{style}]{view.status}[/]" if style else view.status.value
        if self._live:
            self._progress.update(
                self._row, completed=view.current, total=view.total, kind=escape(view.kind), status=status
            )
            self._progress.start()
        elif self._told != (view.status, view.attempt):
            self._told = (view.status, view.attempt)
            total = "" if view.total is None else f" of {view.total}"
            self._console.print(f"{escape(view.kind)} {status} {view.current}{total}", highlight=False)
