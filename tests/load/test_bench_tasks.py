"""The bench of the task path on a real stack for a moment: each load ends and is measured, and the sums are right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.states import TaskStatus
from loadtest.bench import task_growth, task_progress
from loadtest.bench.report import percentile
from loadtest.bench.task_contestants import Headway, headway
from loadtest.bench.task_peers import NODE_PEERS, PYTHON_PEERS, SOURCES
from loadtest.bench.task_world import Servers
from stack.process import Guard


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, process_guard: Guard, mongo_url: str, redis_url: str, amqp_url: str
) -> Servers:
    """The session's servers."""
    urls = {"MONGO_URL": mongo_url, "REDIS_URL": redis_url, "AMQP_URL": amqp_url}
    return Servers(tmp_path_factory.mktemp("bench"), process_guard, urls, frozenset(), "any")


@pytest.fixture(scope="module")
def measured(servers: Servers) -> Iterator[Headway]:
    """A stack to measure."""
    with headway(servers) as stack:
        yield stack


def test_tasks_are_submitted_and_run_to_their_ends(measured: Headway) -> None:
    before = measured.ended()
    turn = measured.together(70, steps=2, lines=2)
    assert measured.ended() == before + turn.operations == before + 70
    assert turn.seconds > 0
    assert turn.processor_s > 0
    told = measured.tasks.find_one({}, {"progress": 1}, sort=[("_id", -1)])
    assert told is not None
    assert told["progress"]["current"] == 2
    assert measured.memory_kb() > 50_000


def test_start_of_each_task_is_after_its_submit(measured: Headway) -> None:
    took = measured.alone(3)
    assert len(took) == 3
    assert all(0 < each < 30 for each in took)


def test_task_alone_is_submitted_once_the_one_before_has_ended(measured: Headway) -> None:
    measured.alone(3)
    fields = {"created_at": 1, "finished_at": 1}
    last, middle, first = measured.tasks.find({}, fields).sort("_id", -1).limit(3)
    for before, after in ((first, middle), (middle, last)):
        assert before["finished_at"] < after["created_at"]


def test_every_event_that_a_follower_hears_is_timed(measured: Headway) -> None:
    heard = task_progress.run(measured, tasks=3, seconds=0.5)
    assert heard.ended == 3
    assert 3 <= len(heard.delays) <= 3 * 8
    assert all(0 < delay < 30 for delay in heard.delays)


def test_what_waits_in_the_broker_is_run_like_what_was_submitted(servers: Servers, measured: Headway) -> None:
    before = measured.ended()
    task_growth.store(measured, 5, TaskStatus.SUCCEEDED)
    assert measured.ended() == before + 5
    task_growth.queue(servers, measured, 10)
    measured.await_ends()
    assert measured.ended() == before + 15


def test_task_stored_by_the_bench_is_what_a_gateway_stores(measured: Headway) -> None:
    measured.together(1)
    [own] = measured.tasks.find().sort("_id", -1).limit(1).to_list()
    [task_id] = task_growth.store(measured, 1, TaskStatus.SUCCEEDED)
    stored = measured.tasks.find_one({"_id": task_id})
    assert stored is not None
    assert stored.keys() == own.keys()
    assert stored["status"] == own["status"]


def test_percentile_is_the_nearest_rank() -> None:
    figures = [float(number) for number in range(1, 101)]
    assert [percentile(figures, percent) for percent in (50, 99, 100)] == [50, 99, 100]
    assert percentile([7.0], 99) == 7.0


@pytest.mark.parametrize("name", [*PYTHON_PEERS, *NODE_PEERS])
def test_peer_is_pinned_by_hashes_and_names_no_address(name: str) -> None:
    pins: Path = SOURCES / name / ("package-lock.json" if name in NODE_PEERS else "requirements.txt")
    text = pins.read_text(encoding="utf-8")
    assert "resolved" not in text
    assert "--index-url" not in text
    assert "sha512-" in text or "--hash=sha256:" in text
