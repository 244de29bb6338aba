"""Micro-benchmarks: a run of all tests calls each once to see that it works, `make micro` takes their time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

Timed = Callable[..., Any]
Do = Callable[[Awaitable[Any]], Any]


@pytest.fixture
def timed(benchmark: BenchmarkFixture) -> Timed:
    """Time a call under the name of a part; it does so many `operations`. Returns what the call does."""

    def run(part: str, call: Callable[[], Any], operations: int = 1) -> Any:
        benchmark.extra_info |= {"part": part, "operations": operations}
        return benchmark(call)

    return run


@pytest.fixture
async def do() -> Do:
    """Run a coroutine on the tests' loop, from a test that is no coroutine itself."""
    return asyncio.get_running_loop().run_until_complete
