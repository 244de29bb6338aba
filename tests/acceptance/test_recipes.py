"""The recipes of docs/clients.md, word for word, through connections that are cut and with tokens that end."""

import asyncio
import importlib.util
import json
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import jwt
import pytest
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError

from core.events import Cursor
from tests.acceptance.programs import NODE_TESTS, pass_on_node, printed_by
from tests.integration.gateway_schema.proxy import Proxy, proxied
from tests.running_stack import PROJECT, RunningStack, clean_environment, descendants, start_stack

TSC = PROJECT / "ui" / "node_modules" / ".bin" / "tsc"
PAGE = (PROJECT / "docs" / "clients.md").read_text(encoding="utf-8")
BLOCKS = re.compile(r"^```(?:ts|python|bash)\n((?:#!.*\n)?(?:#|//) (\w+\.\w+).*\n(?s:.*?))^```$", re.MULTILINE)
COMPILER_OPTIONS = {
    "target": "ES2022",
    "module": "ESNext",
    "moduleResolution": "bundler",
    "lib": ["ES2023", "DOM", "DOM.Iterable"],
    "types": [],
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "noPropertyAccessFromIndexSignature": True,
    "noUnusedLocals": True,
    "noUnusedParameters": True,
    "verbatimModuleSyntax": True,
    "skipLibCheck": True,
}
SECRET = secrets.token_hex(16)
CLAIMS = {"sub": "alice", "role": "operator", "iss": "recipes", "aud": "headway"}
TOKEN_S = 3
THIRD_CONNECTION = 3
"""The first is cut, the second's token ends; so is the number of tokens until then."""
WITHIN_S = 60.0
UNKNOWN_ID = "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e"
Event = dict[str, Any]


@pytest.fixture(scope="module")
def signed_stack(tmp_path_factory: pytest.TempPathFactory, mongo_url: str, redis_url: str) -> Iterator[RunningStack]:
    """A stack that wants tokens and has a kind that takes its time, on the session's servers."""
    name = f"t{secrets.token_hex(6)}"
    environment = {
        "MONGO_URL": mongo_url,
        "REDIS_URL": redis_url,
        "HEADWAY_MONGO_DATABASE": name,
        "HEADWAY_NAMESPACE": name,
        "HEADWAY_AUTH": "jwt",
        "HEADWAY_JWT_SECRET": SECRET,
        "HEADWAY_JWT_ISSUER": CLAIMS["iss"],
        "HEADWAY_JWT_AUDIENCE": CLAIMS["aud"],
        "HEADWAY_JWT_LEEWAY_S": "0",
        "HEADWAY_KIND_MODULES": "tests.faults.kinds",
        "HEADWAY_WORKER_SLOTS": "32",  # For all the tasks of the tests on Node.js at once.
    }
    stack = start_stack(tmp_path_factory.mktemp("signed") / "data", "--broker", "direct", env=environment)
    yield stack
    assert stack.stop() == 0, stack.said()


@pytest.fixture(scope="module")
def recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's files, each under the name in its first line."""
    folder = tmp_path_factory.mktemp("recipes")
    for text, name in BLOCKS.findall(PAGE):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def follow(recipes: Path) -> ModuleType:
    """The recipe for Python as a module."""
    spec = importlib.util.spec_from_file_location("follow", recipes / "follow.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Issuer:
    """Makes tokens that soon end, and counts them."""

    def __init__(self) -> None:
        self.issued = 0

    async def token(self) -> str:
        self.issued += 1
        return make_token()


def make_token() -> str:
    return jwt.encode({**CLAIMS, "exp": int(time.time()) + TOKEN_S}, SECRET, "HS256")


async def submit_steps(stack: RunningStack, steps: int) -> str:
    query = f"mutation {{ tell(input: {{steps: {steps}, pauseS: 0.1}}) {{ id }} }}"
    headers = {"Authorization": f"Bearer {make_token()}"}
    async with httpx.AsyncClient(timeout=WITHIN_S) as client:
        answer = await client.post(f"{stack.url}/graphql", json={"query": query}, headers=headers)
    return str(answer.json()["data"]["tell"]["id"])


def is_fifth_step(told: list[Event]) -> bool:
    kinds = [event["__typename"] for event in told]
    return kinds[-1] == "Progressed" and kinds.count("Progressed") == 5


async def cut(proxy: Proxy) -> None:
    """Break all connections; new ones are let through."""
    await proxy.cut()
    await proxy.mend()


def check_events(told: list[Event], status: str) -> None:
    """Assert that nothing is told twice and nothing is missing: an epoch's events are numbered without a hole."""
    for before, event in pairwise(Cursor.parse(event["cursor"]) for event in told):
        assert event == (Cursor(before.epoch, before.n + 1) if event.epoch == before.epoch else Cursor(event.epoch, 1))
        assert event > before
    assert [event for event in told if event["__typename"] == "Gap"] == []
    assert (told[0]["cursor"], told[-1]["status"]) == ("1-1", status)


async def test_python_tells_every_event_once_though_its_connection_is_cut_and_its_token_ends(
    signed_stack: RunningStack, follow: ModuleType
) -> None:
    task_id = await submit_steps(signed_stack, 600)
    issuer, told = Issuer(), list[Event]()
    async with asyncio.timeout(WITHIN_S), proxied(f"{signed_stack.url}/graphql") as (proxy, url):
        async for event in follow.follow_task(url, issuer.token, task_id):
            told.append(event)
            if is_fifth_step(told):
                await cut(proxy)
            if issuer.issued == THIRD_CONNECTION:
                await follow.cancel_task(url, issuer.token, task_id)
        check_events(told, "CANCELLED")
        after = told[6]["cursor"]
        assert [event async for event in follow.follow_task(url, issuer.token, task_id, after)] == told[7:]


async def test_python_cancels_and_stops(signed_stack: RunningStack, follow: ModuleType) -> None:
    task_id = await submit_steps(signed_stack, 600)
    url, issuer = f"{signed_stack.url}/graphql", Issuer()
    async with asyncio.timeout(WITHIN_S):
        async with aclosing(follow.follow_task(url, issuer.token, task_id)) as events:
            async for event in events:
                if event["__typename"] == "Progressed":
                    break
        assert await follow.cancel_task(url, issuer.token, task_id) in {"RUNNING", "CANCELLING"}
        told = [event async for event in follow.follow_task(url, issuer.token, task_id)]
    check_events(told, "CANCELLED")


async def test_python_raises_what_no_other_try_would_change(
    signed_stack: RunningStack, follow: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, issuer = f"{signed_stack.url}/graphql", Issuer()
    with pytest.raises(TransportQueryError, match="NOT_FOUND"):
        await anext(follow.follow_task(url, issuer.token, UNKNOWN_ID))
    assert issuer.issued == 1
    monkeypatch.setattr(follow, "TRIES", 2)
    with pytest.raises(TransportConnectionFailed):
        await anext(follow.follow_task("http://127.0.0.1:9/graphql", issuer.token, UNKNOWN_ID))
    assert issuer.issued == 3


class Shell:
    """Runs the recipes for curl as a user would, with a command that makes tokens."""

    def __init__(self, recipes: Path, url: str, home: Path) -> None:
        command, self._log = home / "make_token.py", home / "issued"
        command.write_text(
            f"import time, jwt\nclaims = {CLAIMS} | {{'exp': int(time.time()) + {TOKEN_S}}}\n"
            f"print(jwt.encode(claims, {SECRET!r}, 'HS256'))\n"
            f"open({str(self._log)!r}, 'a').write('.')\n",
            encoding="utf-8",
        )
        self.mark = secrets.token_hex(8)
        self._recipes = recipes
        self._environment = clean_environment(home) | {
            "HEADWAY_URL": url,
            "HEADWAY_TEST_MARK": self.mark,
            "TOKEN_COMMAND": f"{sys.executable} {command}",
        }

    def issued(self) -> int:
        """Return how many tokens were made."""
        return self._log.stat().st_size

    async def start(self, script: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._recipes / script,
            *arguments,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, script: str, *arguments: str) -> tuple[int | None, str, str]:
        process = await self.start(script, *arguments)
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


def events_of(text: str) -> list[Event]:
    return [json.loads(line)["data"]["taskEvents"] for line in text.splitlines()]


async def test_curl_tells_every_event_once_though_its_connection_is_cut_and_its_token_ends(
    signed_stack: RunningStack, recipes: Path, tmp_path: Path
) -> None:
    task_id = await submit_steps(signed_stack, 600)
    async with asyncio.timeout(WITHIN_S), proxied(signed_stack.url) as (proxy, url):
        shell = Shell(recipes, url, tmp_path)
        following = await shell.start("follow.sh", task_id)
        assert following.stdout is not None
        told = list[Event]()
        while line := await following.stdout.readline():
            told += events_of(line.decode())
            if is_fifth_step(told):
                await cut(proxy)
            if shell.issued() == THIRD_CONNECTION:
                await shell.run("cancel.sh", task_id)
        assert await following.wait() == 0
        check_events(told, "CANCELLED")
        status, rest, complaint = await shell.run("follow.sh", task_id, told[6]["cursor"])
    assert (status, events_of(rest), complaint) == (0, told[7:], "")
    assert descendants(shell.mark) == []


async def test_curl_cancels_and_ends_with_the_task(signed_stack: RunningStack, recipes: Path, tmp_path: Path) -> None:
    task_id = await submit_steps(signed_stack, 600)
    shell = Shell(recipes, signed_stack.url, tmp_path)
    async with asyncio.timeout(WITHIN_S):
        following = asyncio.create_task(shell.run("follow.sh", task_id))
        status, said, complaint = await shell.run("cancel.sh", task_id)
        assert (status, complaint) == (0, "")
        assert json.loads(said)["data"]["cancelTask"]["status"] in {"CANCELLED", "CANCELLING", "RUNNING"}
        status, told, complaint = await following
    assert (status, complaint) == (0, "")
    check_events(events_of(told), "CANCELLED")


async def test_curl_says_what_no_other_try_would_change(
    signed_stack: RunningStack, recipes: Path, tmp_path: Path
) -> None:
    shell = Shell(recipes, signed_stack.url, tmp_path)
    status, told, complaint = await shell.run("follow.sh", UNKNOWN_ID)
    assert (status, told) == (1, "")
    assert '"NOT_FOUND"' in complaint
    assert descendants(shell.mark) == []


async def test_typescript_compiles_and_follows_on_node(signed_stack: RunningStack, recipes: Path) -> None:
    (recipes / "node_modules").symlink_to(NODE_TESTS / "node_modules")
    (recipes / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (recipes / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER_OPTIONS}), encoding="utf-8")
    await printed_by(TSC, "--project", ".", cwd=recipes, within_s=WITHIN_S)
    await pass_on_node(
        "recipes.test.mjs",
        WITHIN_S,
        HEADWAY_URL=signed_stack.url,
        HEADWAY_RECIPES=str(recipes),
        HEADWAY_JWT_SECRET=SECRET,
        HEADWAY_CLAIMS=json.dumps(CLAIMS),
    )
