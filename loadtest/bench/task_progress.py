"""From a task's `progress()` to its follower's socket: how much this machine delivers, and the time at half of that."""

import itertools
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from loadtest.bench.asking import first_answer, http_request, port_of
from loadtest.bench.crowd import Crowd, subscription
from loadtest.bench.figures import Spread
from loadtest.bench.parts import Plan
from loadtest.bench.report import percentile, rows_of, spread
from loadtest.bench.results import Found
from loadtest.bench.task_contestants import Headway, headway
from loadtest.bench.task_world import Servers

EVERY_S = 0.0625
"""Between two of a task's calls: fewer than are sent at most (jobs/pace.py), so that each is sent at once."""
SECONDS = 3.0
SUBMIT = "mutation($input: PacedInput!) { paced(input: $input) { id } }"
FOLLOW = "subscription($id: ID!) { taskProgress(id: $id, maxHz: 60) { status progress { current message } } }"
SUBMITTING = 16
FIRST, GROWTH = 20, 1.6
"""Tasks at once while looking for the most, and how much more in the next step."""
LATE_S = 0.1
"""Deliveries whose median is later than this are no longer live."""
WITHIN_S = 60.0
RUNNING, MESSAGE, COMPLETE = b'"RUNNING"', b'"message":"', b'"type":"complete"'


class Heard:
    """What followers got after their snapshots: when each event came, and how long after its call.

    A snapshot's progress is as old as the latest call, which says nothing of how fast it is told.
    """

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.came: list[float] = []
        self.ended = 0

    def note(self, frame: bytes) -> None:
        """Note an event whose message is the time of its call; until the first there is none."""
        now = time.time()
        if COMPLETE in frame:
            self.ended += 1
        elif RUNNING in frame and (at := frame.find(MESSAGE)) >= 0:
            begin = at + len(MESSAGE)
            self.came.append(now)
            self.delays.append(now - float(frame[begin : frame.index(b'"', begin)]))

    def rate(self) -> float:
        """Return the events a second between the first and the last quarter of the time; 0 where that is no time."""
        began, ended = min(self.came, default=0.0), max(self.came, default=0.0)
        if began == ended:
            return 0.0
        quarter = (ended - began) / 4
        return sum(began + quarter <= came < ended - quarter for came in self.came) / (2 * quarter)


def run(stack: Headway, tasks: int, seconds: float) -> Heard:
    """Run so many paced tasks, each followed by one follower. Raises NoAnswer and CrowdFailed."""
    given = {"steps": round(seconds / EVERY_S), "everyS": EVERY_S}
    asked = http_request("POST", "/graphql", orjson.dumps({"query": SUBMIT, "variables": {"input": given}}))
    port, heard = port_of(stack.stack.url), Heard()

    def submit(_: int) -> str:
        return str(orjson.loads(first_answer(port, asked))["data"]["paced"]["id"])

    with ThreadPoolExecutor(SUBMITTING) as pool:
        task_ids = list(pool.map(submit, range(tasks)))
    give_up = time.monotonic() + seconds + WITHIN_S
    with Crowd("Headway", port, heard.note) as crowd:
        crowd.open((subscription(FOLLOW, {"id": task_id}) for task_id in task_ids), lambda: None)
        while heard.ended < tasks:
            assert time.monotonic() < give_up, f"{tasks - heard.ended} of {tasks} followers were told no end"
            crowd.take(0.1)
    return heard


def saturation(stack: Headway, seconds: float, figures: list[tuple[int, float, float]]) -> float:
    """Return the most events a second that are delivered while half of them are no later than 0.1 s."""
    most, tasks = 0.0, FIRST
    for _ in itertools.count():
        heard = run(stack, tasks, seconds)
        rate, late = heard.rate(), statistics.median(heard.delays or [WITHIN_S])
        figures.append((tasks, rate, late))
        if late > LATE_S or rate < most:
            return max(most, rate if late <= LATE_S else 0.0)
        most, tasks = rate, int(tasks * GROWTH)
    raise AssertionError("a machine without an end")


def measure(servers: Servers, plan: Plan) -> Found:
    """Find the saturation, then measure at half of it. Raises NoAnswer and CrowdFailed."""
    seconds = 1.0 if plan.is_quick else SECONDS
    steps: list[tuple[int, float, float]] = []
    with headway(servers, slots=1_000) as stack:
        run(stack, FIRST, 1.0)
        most = FIRST / EVERY_S if plan.is_quick else saturation(stack, seconds, steps)
        tasks = max(1, int(most / 2 * EVERY_S))
        repeats = [run(stack, tasks, seconds) for _ in range(plan.repeats)]
    p50, p99 = (Spread.of([percentile(heard.delays, percent) * 1e3 for heard in repeats]) for percent in (50, 99))
    row = (f"{most:,.0f}", f"{tasks} of 16 a second", spread(p50, 1), spread(p99, 1))
    table = rows_of(("most events/s", "measured with tasks", "p50 ms", "p99 ms"), [row])
    figures: dict[str, Any] = {"steps": steps, "saturation": most, "tasks": tasks}
    text = f"**`progress()` to a follower's socket**\n\n{table}"
    return Found("tasks", "progress", 4, text, {"progress p50": p50, "progress p99": p99}, figures=figures)
