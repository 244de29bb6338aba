"""A small schema with one field for every way an operation can go, served by the real application and server."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import strawberry

from core.errors import (
    BadUserInput,
    Conflict,
    Forbidden,
    HeadwayError,
    NotFound,
    RateLimited,
    ResponseTooLarge,
    Unauthenticated,
    Unavailable,
)
from core.settings import Settings
from gateway.app import Opening
from gateway.context import OperationContext, Services
from gateway.replica import Replica

Info = strawberry.Info[OperationContext, None]

PUBLIC_ERRORS: Mapping[str, HeadwayError] = {
    error.code: error
    for error in (
        BadUserInput("name", "a name", got="nobody"),
        NotFound("task", "7"),
        Conflict("name", "This name is taken"),
        Unauthenticated("The token has expired"),
        Forbidden("purge", "admin"),
        RateLimited(7),
        Unavailable("MongoDB"),
        ResponseTooLarge(1_000),
    )
}
"""One of each class."""


class Probe:
    """What the resolvers did, so that a test waits for it instead of sleeping."""

    def __init__(self) -> None:
        self.open_sources = 0
        self.yielded = 0
        self.holding = asyncio.Event()
        self.release = asyncio.Event()
        self._changed = asyncio.Event()

    @contextmanager
    def source(self):  # type: ignore[no-untyped-def]  # A generator's own type says nothing here.
        """Count a subscription's source while it is open."""
        self.open_sources += 1
        self._changed.set()
        try:
            yield
        finally:
            self.open_sources -= 1
            self._changed.set()

    async def wait_for_sources(self, count: int) -> None:
        """Return once exactly `count` sources are open."""
        async with asyncio.timeout(10):
            while self.open_sources != count:
                self._changed.clear()
                await self._changed.wait()


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"Hello, {name}"

    @strawberry.field
    def correlation(self, info: Info) -> str:
        return f"{info.context.owner} {info.context.correlation_id}"

    @strawberry.field
    def refused(self) -> str | None:
        raise BadUserInput("name", "a name")

    @strawberry.field
    def refused_with(self, code: str) -> str | None:
        raise PUBLIC_ERRORS[code]

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("a secret of the house")


@strawberry.type
class Fragile:
    """An event whose one field can't be told."""

    number: int

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("a secret of the house")


def build(probe: Probe) -> strawberry.Schema:
    """Return the schema over a probe."""

    @strawberry.type(name="Query")
    class ProbedQuery(Query):
        @strawberry.field
        async def held(self) -> str:
            probe.holding.set()
            await probe.release.wait()
            return "released"

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        def store(self, content: str) -> int:
            return len(content)

    @strawberry.type
    class Subscription:
        @strawberry.subscription
        async def count(self, to: int = 3) -> AsyncIterator[int]:
            with probe.source():
                for number in range(to):
                    yield number

        @strawberry.subscription
        async def silence(self) -> AsyncIterator[int]:
            with probe.source():
                await probe.release.wait()
                yield 1

        @strawberry.subscription
        async def flood(self, size: int = 10_000) -> AsyncIterator[str]:
            with probe.source():
                while True:
                    probe.yielded += 1
                    yield "x" * size
                    await asyncio.sleep(0)

        @strawberry.subscription
        async def fragile(self, to: int = 2) -> AsyncIterator[Fragile]:
            for number in range(to):
                yield Fragile(number=number)

        @strawberry.subscription
        async def failing_with(self, code: str) -> AsyncIterator[int]:
            yield 0
            raise PUBLIC_ERRORS[code]

        @strawberry.subscription
        async def failing(self, masked: bool) -> AsyncIterator[int]:
            yield 0
            if masked:
                raise RuntimeError("a secret of the house")
            raise BadUserInput("after", "a cursor")

    return strawberry.Schema(ProbedQuery, Mutation, Subscription)


def opening(probe: Probe) -> Opening:
    """Return what the app's lifespan opens instead of real services."""

    @asynccontextmanager
    async def open_standin(_settings: Settings) -> AsyncIterator[Replica]:
        yield Replica(cast(Services, None), build(probe))

    return open_standin
