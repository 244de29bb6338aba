"""The bench on real servers for a moment: it measures what it says, and takes no refusal for an answer."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from loadtest.bench import report, results, watched
from loadtest.bench.__main__ import PAGE, PARTS
from loadtest.bench.asking import Clients, NoAnswer, http_request, is_whole, unchunked
from loadtest.bench.crowd import Crowd, CrowdFailed, subscription
from loadtest.bench.figures import Contest, Spread, Turn
from loadtest.bench.goals import GOALS, against_goals
from loadtest.bench.parts import Others
from loadtest.bench.results import Found
from loadtest.bench.task_progress import Heard
from tests.running_stack import PROJECT

READ = {"**Headway**", "Headway, with its request log", "Starlette and orjson, no GraphQL"}
READ_STORED = {"**Headway**", "pymongo and orjson, no GraphQL"}
FOLLOW = {"**Headway**", "Starlette broadcast, no GraphQL"}


def test_bench_measures_the_gateway_and_the_limit(tmp_path: Path, mongo_url: str, redis_url: str) -> None:
    those = ("--only", "headway", "no graphql", "--python", sys.executable, "--out", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.bench", "read", "follow", "--quick", *those],
        cwd=PROJECT,
        env={**os.environ, "MONGO_URL": mongo_url, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [names(table) for table in tables(tmp_path / "read.md")] == [READ, READ_STORED, READ_STORED]
    assert [names(table) for table in tables(tmp_path / "follow.md")] == [FOLLOW, FOLLOW]
    for table in tables(tmp_path / "read.md") + tables(tmp_path / "follow.md"):
        assert all(float(row[1].partition(" ")[0].replace(",", "")) > 0 for row in table)
    charts = sorted((tmp_path / "img").glob("*.svg"))
    assert len(charts) == 5
    assert all(ElementTree.parse(chart).getroot().tag.endswith("svg") for chart in charts)


def tables(page: Path) -> list[list[list[str]]]:
    """Return the cells of each table's rows, without its head."""
    found: list[list[list[str]]] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| contestant"):
            found.append([])
        elif line.startswith("| ") and not line.startswith("| ---"):
            found[-1].append([cell.strip() for cell in line.strip("| ").split("|")])
    return found


def names(table: list[list[str]]) -> set[str]:
    """Return the contestants of a table."""
    return {row[0] for row in table}


@pytest.mark.parametrize("part", [*PARTS, "goals"])
def test_page_has_a_place_for_each_part(part: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    results.put(page, part, "What was found.")
    assert f"<!-- bench {part} -->\nWhat was found.\n" in page.read_text(encoding="utf-8")


def test_quick_look_is_not_written_into_the_page() -> None:
    command = [sys.executable, "-m", "loadtest.bench", "read", "--quick", "--write"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--quick" in done.stderr


def test_ratio_is_taken_within_each_repeat() -> None:
    contest = Contest("any", "request")
    for ours, theirs in ((100, 50), (10, 1), (300, 100)):
        contest.note("Headway", Turn(ours, 1.0, 1.0, 0.0))
        contest.note("peer", Turn(theirs, 1.0, 1.0, 0.0))
    ratio, cost = contest.ratio("Headway", "peer"), contest.cost_ratio("Headway", "peer")
    assert (ratio.least, ratio.median, ratio.most) == (2, 3, 10)
    assert (cost.least, cost.median, cost.most) == (2, 3, 10)


def test_cost_of_an_event_is_without_what_the_same_time_costs_at_rest() -> None:
    turns = [Turn(1_000, 4.0, 3.0, 0.0), Turn(2_000, 5.0, 3.0, 0.0)]
    rests = [Turn(1, 2.0, 0.5, 0.0), Turn(1, 4.0, 0.8, 0.0)]
    assert watched.costs_us(turns, rests) == pytest.approx([2_000, 1_000])


def test_what_was_found_is_kept_beside_what_was_found_before(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text("<!-- bench read -->\n<!-- end of bench read -->\n", encoding="utf-8")
    for name, order, text in (("second", 2, "B"), ("first", 1, "old"), ("first", 1, "A")):
        charts = {f"{name}.svg": "<svg/>"}
        results.keep(Found("read", name, order, text, {name: Spread(2, 1, 3)}, charts, facts="Today."), tmp_path)
    results.keep(Found("read", "third", 3, "C", {}, facts="Yesterday."), tmp_path)
    results.keep(Found("tasks", "other", 1, "D", {}), tmp_path)
    results.write("read", tmp_path, page)
    told = "Today.\n\nA\n\nB\n\nYesterday.\n\nC"
    assert page.read_text(encoding="utf-8") == f"<!-- bench read -->\n{told}\n<!-- end of bench read -->\n"
    assert {chart.name for chart in (page.parent / "img").iterdir()} == {"first.svg", "second.svg"}
    assert next(one.measures for one in results.kept(tmp_path)) == {"first": Spread(2, 1, 3)}


def test_goal_is_met_by_the_median_and_not_by_the_best() -> None:
    least, most = GOALS[0], next(goal for goal in GOALS if not goal.at_least)
    near, far = least.bound - 0.1, most.bound + 0.1
    missed = {least.measure: Spread(near, near, near + 9), most.measure: Spread(far, far - 9, far)}
    met = {least.measure: Spread(least.bound, near, near + 9), most.measure: Spread(most.bound, far - 9, far)}
    assert "0 of 2 that were measured are met" in against_goals([Found("any", "any", 1, "", missed)])
    assert "2 of 2 that were measured are met" in against_goals([Found("any", "any", 1, "", met)])
    assert "0 of 0 that were measured are met" in against_goals([])


def test_each_goal_is_about_a_measure_of_its_own() -> None:
    assert len({goal.measure for goal in GOALS}) == len({goal.what for goal in GOALS}) == len(GOALS)


def test_server_that_left_its_core_idle_is_marked() -> None:
    contest = Contest("any", "request", memory_kb={"Headway": 1024, "peer": 2048})
    contest.note("Headway", Turn(10, 1.0, 1.0, 0.0))
    contest.note("peer", Turn(10, 1.0, 0.5, 1.0))
    ours, theirs = (
        next(line for line in report.table(contest).splitlines() if name in line) for name in ("**", "peer")
    )
    assert "*" not in ours.replace("**", "")
    assert theirs.endswith("50% / 100% * |")


@pytest.mark.parametrize("heard", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"])
def test_part_of_an_answer_is_not_whole(heard: bytes) -> None:
    assert not is_whole(heard)


def test_whole_answer_is_known_by_its_length_or_its_last_chunk() -> None:
    assert is_whole(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab")
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n"
    assert not is_whole(chunked)
    assert is_whole(chunked + b"0\r\n\r\n")
    assert unchunked(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n") == b"abc"


def test_refusal_is_no_answer() -> None:
    with pytest.raises(NoAnswer, match="429"):
        is_whole(b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n")


class Answering(BaseHTTPRequestHandler):
    """Answers what its server holds, and counts."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[list[bytes]] = []
    asked = 0

    def do_GET(self) -> None:
        """Answer the next, the last again and again."""
        body = self.answers[min(Answering.asked, len(self.answers) - 1)]
        Answering.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def answering() -> Iterator[int]:
    """A server's port."""
    Answering.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1]
        server.shutdown()


def test_client_asks_as_often_as_told_whatever_the_length_of_answers(answering: int) -> None:
    Answering.answers = [b"a", b"long " * 20_000, b"b", b"c"]
    with Clients(answering, [http_request("GET", "/")], 3) as clients:
        assert clients.ask(count=10).answers == Answering.asked == 10
        assert clients.ask(count=2).answers == 2
        assert clients.ask(seconds=0.05).answers >= 3
    assert Answering.asked >= 15


def test_error_of_the_usual_length_is_no_answer(answering: int) -> None:
    Answering.answers = [b'{"data":{"items":1}}'] * 3 + [b'{"errors":["wrong"]}']
    with Clients(answering, [http_request("GET", "/")], 1) as clients, pytest.raises(NoAnswer, match="wrong"):
        clients.ask(count=10)


def test_others_are_those_whose_time_is_not_ours() -> None:
    others, until = Others(), time.perf_counter() + 0.4
    while time.perf_counter() < until:
        pass
    assert others.share(0.0) * (os.cpu_count() or 1) > 0.2
    assert others.share(1_000.0) == 0.0


def test_section_is_written_between_its_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench read -->\nold\n<!-- end of bench read -->\nafter\n", encoding="utf-8")
    results.put(page, "read", "new \\1")
    assert page.read_text(encoding="utf-8") == (
        "before\n<!-- bench read -->\nnew \\1\n<!-- end of bench read -->\nafter\n"
    )
    with pytest.raises(ValueError, match="bench follow"):
        results.put(page, "follow", "new")


EVENTS = 300
SUBPROTOCOL = Subprotocol("graphql-transport-ws")


async def tell_events(websocket: ServerConnection) -> None:
    """Serve a follower: an ack, a ping, events of many lengths."""
    await acknowledge(websocket)
    answered = await websocket.ping()
    for number in range(EVENTS):
        padding = "x" * (number % 200)
        await websocket.send(f'{{"id":"1","type":"next","payload":{{"data":"{padding}"}}}}')
    await answered
    await websocket.wait_closed()


async def refuse(websocket: ServerConnection) -> None:
    """Serve a follower with an error."""
    await acknowledge(websocket)
    await websocket.send('{"id":"1","type":"error","payload":[]}')
    await websocket.wait_closed()


async def acknowledge(websocket: ServerConnection) -> None:
    """Take the two messages that a follower begins with."""
    assert "connection_init" in str(await websocket.recv())
    await websocket.send('{"type":"connection_ack"}')
    assert "subscribe" in str(await websocket.recv())


def follow(port: int, followers: int, listen: Callable[[bytes], None] | None = None) -> list[int]:
    """Return what each follower has heard when all have heard everything, or after 10 s."""
    give_up = time.monotonic() + 10
    with Crowd("any", port, listen) as crowd:
        crowd.open([subscription("subscription { any }", {})] * followers, lambda: None)
        while crowd.heard < EVENTS * followers and time.monotonic() < give_up:
            crowd.take(0.1)
        return [follower.heard for follower in crowd.followers]


async def test_each_follower_counts_every_event_and_nothing_else() -> None:
    async with serve(tell_events, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        assert await asyncio.to_thread(follow, port, 60) == [EVENTS] * 60


async def test_listener_is_told_everything_but_how_things_stood_when_it_came() -> None:
    async with serve(tell_events, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as server:
        port, told = next(iter(server.sockets)).getsockname()[1], list[bytes]()
        assert await asyncio.to_thread(follow, port, 1, told.append) == [EVENTS]
    sent = [f'{{"id":"1","type":"next","payload":{{"data":"{"x" * (number % 200)}"}}}}' for number in range(EVENTS)]
    assert told == [text.encode() for text in sent[1:]]


@pytest.mark.parametrize("came", [0, 1])
def test_followers_who_come_too_late_for_all_but_one_event_make_a_rate_of_none(came: int) -> None:
    heard = Heard()
    for _ in range(came):
        heard.note(b'{"id":"1","type":"next","payload":{"data":{"taskProgress":{"status":"RUNNING","message":"1.5"}}}}')
    heard.note(b'{"id":"1","type":"next","payload":{"data":{"taskProgress":{"status":"SUCCEEDED"}}}}')
    heard.note(b'{"id":"1","type":"complete"}')
    assert (heard.rate(), len(heard.delays), heard.ended) == (0.0, came, 1)


async def test_error_in_place_of_an_event_ends_the_measurement() -> None:
    async with serve(refuse, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(CrowdFailed, match=r'any: expected an ack or an event.*"error"'):
            await asyncio.to_thread(follow, port, 1)
