"""What this project is to reach, and whether what was measured does."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadtest.bench.figures import Spread
from loadtest.bench.report import rows_of, spread
from loadtest.bench.results import Found


@dataclass(frozen=True)
class Goal:
    """A measure by its name, and the bound that its median is to keep."""

    what: str
    measure: str
    bound: float
    at_least: bool = True
    unit: str = ""

    def is_met(self, measured: Spread) -> bool:
        """Whether a measurement keeps the bound."""
        return measured.median >= self.bound if self.at_least else measured.median <= self.bound


MEMORY = "A list of 20 items with 6 fields, in memory"
STORED = "A list of 20 items with 6 fields, in MongoDB, each connection its own"
SHARED = "A list of 20 items with 6 fields, in MongoDB, all connections the same"
THROUGH = "Submit to done, a task that does nothing"
EVENTS = "Submit to done, with 10 progress events each"
FLAT = 1.2
"""How many times as much is still the same, beside the spread of the repeats."""


def _beside(what: str, title: str, **bounds: float) -> list[Goal]:
    return [Goal(f"{what}: {name}", f"{title}: {name}", bound) for name, bound in bounds.items()]


def _followers(count: int) -> list[Goal]:
    hot, own = (f"{count:,} followers, {tasks}" for tasks in ("one hot task", "a task of its own each"))
    strawberry, node, broadcast = "Strawberry as it comes", "Node graphql-ws + ws", "Starlette broadcast, no GraphQL"
    return [
        *_beside(hot, hot, **{strawberry: 12, node: 3, broadcast: 0.9}),
        *_beside(own, own, **{strawberry: 5, node: 1.5}),
        *(Goal(f"{title}: memory", f"{title}: KB", 30, at_least=False, unit="KB") for title in (hot, own)),
    ]


GOALS = (
    *_beside(
        "list in memory",
        MEMORY,
        **{
            "Strawberry as it comes": 25,
            "FastAPI REST": 2.2,
            "Node Mercurius JIT": 1.3,
            "Starlette and orjson, no GraphQL": 0.7,
        },
    ),
    *_beside("list in MongoDB", STORED, **{"pymongo and orjson, no GraphQL": 0.8, "FastAPI + Beanie": 1.5}),
    Goal("first sight of a document: graphql-core's time", "first sight", 1.2, at_least=False),
    *_followers(200),
    *_followers(3_000),
    *_beside("a task, submit to done", THROUGH, **{"FastAPI + Celery": 4}),
    *_beside("with 10 progress events", EVENTS, **{"FastAPI + Celery": 10}),
    Goal("submit to start, p50", "start p50", 5, at_least=False, unit="ms"),
    Goal("submit to start, p99", "start p99", 20, at_least=False, unit="ms"),
    Goal("progress to a follower, p50", "progress p50", 3, at_least=False, unit="ms"),
    Goal("progress to a follower, p99", "progress p99", 15, at_least=False, unit="ms"),
    Goal("a task's cost: 1,000,000 stored to none", "growth stored", FLAT, at_least=False),
    Goal("a task's cost: 100,000 queued to 6,000", "growth queued", FLAT, at_least=False),
    Goal("an event's cost: 10,000 tasks watched to one", "growth watched", FLAT, at_least=False),
)


def against_goals(found: Iterable[Found]) -> str:
    """Return the table of all goals, and how many of them are met."""
    measures = {name: measured for one in found for name, measured in one.measures.items()}
    rows = [_row(goal, measures) for goal in GOALS]
    met = sum(row[-1] == "met" for row in rows)
    head = ("measure", "goal", "measured", "by processor time", "")
    told = sum(row[-1] != "" for row in rows)
    return f"{rows_of(head, rows)}\n\n{met} of {told} that were measured are met, by their medians."


def _row(goal: Goal, measures: dict[str, Spread]) -> tuple[str, ...]:
    unit = f" {goal.unit}" if goal.unit else ""
    bound = f"{'≥' if goal.at_least else '≤'} {goal.bound:g}{unit}"
    if goal.measure not in measures:
        return goal.what, bound, "not measured", "", ""
    measured = measures[goal.measure]
    cost = measures.get(f"{goal.measure}, processor time")
    verdict = "met" if goal.is_met(measured) else "missed"
    return goal.what, bound, spread(measured, 2) + unit, "" if cost is None else spread(cost, 2), verdict
