"""What a task kind is written with: `kind`, `TaskContext`, `PermanentError`; and the registry of what is installed.

One file a kind in this package is the whole contract: input model, result model, options, one function. An `async def`
runs on the worker's event loop and, told to stop, is cancelled once a second for 5 s, so a longer clean-up wants
`asyncio.shield`; a plain `def` is CPU-bound and runs in a process of its own that can be killed.
"""

import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard, TypeVar, get_type_hints
from uuid import UUID

from pydantic import BaseModel

ENTRY_POINTS = "headway.kinds"
"""The group in which an installed package names its modules of kinds."""
MAX_TIMEOUT_S = 24 * 3600.0
F = TypeVar("F", bound=Callable[..., Any])


class PermanentError(Exception):
    """Raise it from a kind when another attempt can't help: the task fails at once with `code` and the message."""

    def __init__(self, message: str, *, code: str = "PERMANENT") -> None:
        super().__init__(message)
        self.code = code


class TaskContext(Protocol):
    """What a running attempt may ask and say. The methods are cheap and never block on the network."""

    @property
    def task_id(self) -> UUID:
        """The task's id."""
        ...

    @property
    def attempt(self) -> int:
        """1 for the first attempt."""
        ...

    @property
    def state(self) -> Any:
        """What the latest `checkpoint` of an earlier attempt kept, None if there was none."""
        ...

    def progress(self, current: int, total: int | None = None, message: str | None = None) -> None:
        """Tell how far the work is; costs microseconds, the latest wins, at most 20 are sent a second."""
        ...

    def log(self, text: str) -> None:
        """Tell followers a sentence; cut to 2,000 characters."""
        ...


class AsyncTaskContext(TaskContext, Protocol):
    """The context of an `async def` kind."""

    async def checkpoint(self, state: Any) -> None:
        """Store what the next attempt needs to go on from here (JSON, at most 1 MB); return once it is durable.

        Raises asyncio.CancelledError if this attempt is to stop or has lost its task to another.
        """
        ...


@dataclass(frozen=True)
class Kind:
    """A task kind as its one file declares it. `name` is also the name of its mutation.

    `spreads_input`: the mutation takes the input's fields as arguments of their own instead of one `input`.
    """

    name: str
    description: str
    input_model: type[BaseModel]
    result_model: type[BaseModel]
    function: Callable[..., Any]
    timeout_s: float
    max_attempts: int
    check: Callable[[Any, str], Awaitable[None]] | None = None
    spreads_input: bool = False

    @property
    def is_cpu_bound(self) -> bool:
        """Whether it is a plain function, to be run in a process of its own."""
        return not inspect.iscoroutinefunction(self.function)


_registry: dict[str, Kind] = {}


def kind(
    *,
    timeout_s: float,
    max_attempts: int = 3,
    check: Callable[[Any, str], Awaitable[None]] | None = None,
    spreads_input: bool = False,
) -> Callable[[F], F]:
    """Declare the decorated function `(ctx, input: InputModel) -> ResultModel` as a task kind.

    Its name in camelCase is the kind's name and the mutation's; its docstring is shown to clients. `check(input,
    owner)`, if given, is awaited at submit for what the model alone can't tell, and raises BadUserInput naming a field
    of the model. With `spreads_input` the mutation takes the model's fields as its arguments. Raises TypeError
    when the annotations are missing or the name is taken, ValueError when an option is out of range.
    """
    if not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise ValueError(f"timeout_s: expected more than 0 and at most {MAX_TIMEOUT_S:g}, got {timeout_s}")
    if max_attempts < 1:
        raise ValueError(f"max_attempts: expected at least 1, got {max_attempts}")

    def declare(function: F) -> F:
        models, name = _models_of(function), _name_of(function)
        known = _registry.get(name)
        if known and known.function.__module__ != function.__module__:
            raise TypeError(f"{name}: a kind of this name is declared in {known.function.__module__} too")
        description = inspect.getdoc(function) or ""
        _registry[name] = Kind(name, description, *models, function, timeout_s, max_attempts, check, spreads_input)
        return function

    return declare


def _name_of(function: Callable[..., Any]) -> str:
    first, *rest = function.__name__.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _models_of(function: Callable[..., Any]) -> tuple[type[BaseModel], type[BaseModel]]:
    """Return the models of what goes in and what comes out. Raises TypeError."""
    hints = get_type_hints(function)
    taken, given = hints.get("input"), hints.get("return")
    if not (_is_model(taken) and _is_model(given)):
        raise TypeError(f"{function.__name__}: expected annotations (ctx, input: a Pydantic model) -> a Pydantic model")
    return taken, given


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def kind_of(function: Callable[..., Any]) -> Kind:
    """Return the kind that a function was declared as. Raises LookupError if it was not."""
    for declared in _registry.values():
        if declared.function is function:
            return declared
    raise LookupError(f"{function.__name__}: expected a function declared with @kind")


def load_kinds(modules: Iterable[str] = ()) -> dict[str, Kind]:
    """Import every module of this package, those that installed packages name as entry points of the group
    `headway.kinds`, and `modules`; return their kinds, in alphabetical order.

    A module's kinds are those that it declares or imports by name, and those of the package below it. What others have
    imported into this process is not among them. Raises ModuleNotFoundError if one of `modules` is not installed.
    """
    own = [f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)]
    installed = sorted({entry.module for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)})
    names = [*own, *installed, *modules]
    imported = {id(value) for name in names for value in vars(importlib.import_module(name)).values()}
    packages = tuple(f"{name}." for name in names)
    return {
        name: kind
        for name, kind in sorted(_registry.items())
        if id(kind.function) in imported or kind.function.__module__.startswith(packages)
    }
