"""What came of running a kind's function, in a form that crosses a process boundary."""

import traceback
from dataclasses import dataclass
from typing import Any

import bson
from bson.errors import InvalidDocument
from pydantic import BaseModel

from jobs.attempt import storable
from jobs.kinds import PermanentError

RESULT_BYTES = 8_000_000
RESULT_LEVELS = 90
"""MongoDB refuses a document of more than 100 levels, and with it the whole batch of writes that it comes in
(mongodb.com/docs/manual/reference/limits)."""
CODE_CHARS, ERROR_CHARS = 100, 2_000


@dataclass(frozen=True)
class Returned:
    """The function returned a result, here as JSON values."""

    result: dict[str, Any]


@dataclass(frozen=True)
class Raised:
    """The function raised. `message` may be shown to clients; `trace` is for the log alone."""

    code: str
    message: str
    is_permanent: bool
    trace: str = ""


@dataclass(frozen=True)
class Died:
    """The process that ran the function ended under it."""

    reason: str


@dataclass(frozen=True)
class Stopped:
    """The function was told to stop, and did (`is_forced` False) or had to be left or killed."""

    is_forced: bool


Outcome = Returned | Raised | Died | Stopped


def is_deeper(value: object, levels: int) -> bool:
    """Return whether objects and lists are nested in more levels than these."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels == 0 or any(is_deeper(each, levels - 1) for each in inner))


def returned(result: object, model: type[BaseModel]) -> Returned | Raised:
    """Return a function's result as what MongoDB can store, or why it can't be stored."""
    if not isinstance(result, model):
        return Raised("BAD_RESULT", f"expected the kind to return {model.__name__}", is_permanent=True)
    document = result.model_dump(mode="json")
    try:
        size = len(bson.encode(document))
    except (InvalidDocument, OverflowError) as exc:
        return Raised("BAD_RESULT", f"the result can't be stored: {exc}", is_permanent=True)
    if is_deeper(document, RESULT_LEVELS):
        return Raised("BAD_RESULT", f"expected a result of at most {RESULT_LEVELS} levels", is_permanent=True)
    if size > RESULT_BYTES:
        reason = f"expected a result of at most {RESULT_BYTES:,} bytes, got {size:,}"
        return Raised("RESULT_TOO_LARGE", reason, is_permanent=True)
    return Returned(document)


def raised(exc: Exception) -> Raised:
    """Return an exception as clients may see it: a PermanentError speaks for itself, others show only their class."""
    if isinstance(exc, PermanentError):
        return Raised(storable(exc.code, CODE_CHARS), storable(str(exc), ERROR_CHARS), is_permanent=True)
    trace = "".join(traceback.format_exception(exc))
    message = f"the attempt failed with {type(exc).__name__}; the worker's log tells more"
    return Raised("KIND_ERROR", message, is_permanent=False, trace=trace)
