"""How a task is to be run: the input beside every kind's own."""

from datetime import datetime
from typing import TypeVar

import strawberry
from strawberry import UNSET

from gateway.schema.enums import Priority
from gateway.submit import MAX_ATTEMPTS, MAX_KEY_CHARS, SubmitOptions

T = TypeVar("T")
OPTIONS_HELP = "How to run it; null means as its kind says."


@strawberry.input(description="How a task is to be run. What is left out is as its kind says.")
class TaskOptions:
    """Its fields are optional, and null says the same as leaving one out."""

    priority: Priority | None = strawberry.field(default=Priority.NORMAL, description="Which tasks go before it.")
    delay_s: float | None = strawberry.field(
        default=UNSET, description="Start no earlier than this many seconds from now, at most 366 days; or say `runAt`."
    )
    run_at: datetime | None = strawberry.field(
        default=UNSET, description="Start no earlier than at this moment, within 366 days; one in the past means now."
    )
    deadline: datetime | None = strawberry.field(
        default=UNSET, description="If it has not started by this moment, let it end as EXPIRED."
    )
    timeout_s: float | None = strawberry.field(
        default=UNSET, description="Seconds that one attempt may take: more than 0, at most 86,400."
    )
    max_attempts: int | None = strawberry.field(
        default=UNSET, description=f"Attempts that may fail before it does, 1 to {MAX_ATTEMPTS}."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description=f"1 to {MAX_KEY_CHARS} printable characters of your choice. Submitting the same kind and input "
        "with the same key again returns the task of the first time; with another kind or input it is a CONFLICT.",
    )

    def parsed(self) -> SubmitOptions:
        """Return the options without UNSET."""
        return SubmitOptions(
            priority=self.priority or Priority.NORMAL,
            delay_s=_given(self.delay_s),
            run_at=_given(self.run_at),
            deadline=_given(self.deadline),
            timeout_s=_given(self.timeout_s),
            max_attempts=_given(self.max_attempts),
            idempotency_key=_given(self.idempotency_key),
        )


def _given(value: T | None) -> T | None:
    return None if value is UNSET else value
