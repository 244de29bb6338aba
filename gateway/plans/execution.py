"""One operation that is about to run: by the short way where its plan renders it whole.

The short way calls the resolvers and renders what they return. Where either fails, graphql-core executes the operation
with what the resolvers came to, so errors are told as always, and none that waits or changes anything runs twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import CORO_CREATED, getcoroutinestate, isawaitable, iscoroutine
from typing import Any, ClassVar

from graphql import (
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    default_field_resolver,
    default_type_resolver,
    execute_root_selection_set,
)
from graphql.execution import MiddlewareManager
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.metrics import plans_by
from gateway.plans.executor import Infos, PlannedExecutor, Waiting
from gateway.plans.places import Place
from gateway.plans.plan import Plan, Root
from gateway.plans.scope import Fragments

Answered = Callable[..., Any]


@dataclass(slots=True, eq=False)
class Came:
    """What a resolver came to: a value, or the exception that it raised."""

    value: Any
    was_awaited: bool


Outcomes = dict[tuple[Any, ...], Came]
"""By where in the answer a field stands."""


@dataclass
class Execution:
    """What an operation is executed with, under the names by which graphql-core knows it."""

    schema: GraphQLSchema
    fragments: Fragments
    operation: OperationDefinitionNode
    variable_values: VariableValues
    context_value: Any
    operation_extensions: Mapping[str, Any]
    hide_suggestions: bool
    plan: Plan

    root_value: ClassVar = None
    abort_signal: ClassVar = None
    async_helpers: ClassVar = None
    """graphql-core's own for resolvers; none of ours uses them."""
    is_awaitable = staticmethod(optimized_is_awaitable)
    build_resolve_info: ClassVar[Any] = StrawberryGraphQLCoreExecutionContext.build_resolve_info

    @property
    def fragment_definitions(self) -> dict[str, FragmentDefinitionNode]:
        """The document's fragments by their names."""
        return self.fragments.definitions

    async def run(self) -> ExecutionResult:
        """Execute a query or mutation."""
        roots = self.plan.roots
        if not roots:
            return await self._execute()
        data: dict[str, Any] = {}
        outcomes: Outcomes = {}
        infos = Infos(self)
        turns = [[root] for root in roots] if self.plan.one_by_one else [roots]
        for together in turns:
            asked = self._ask(together, outcomes) if len(together) > 1 else self._ask_one(together[0], outcomes)
            if not await asked:
                return await self._execute(_answering(outcomes))
            try:
                for root in together:
                    data[root.key] = root.render(outcomes[root.path].value, infos)
                if infos.waiting:
                    await self._finish(infos, outcomes)
            except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
                plans_by["value"] += 1
                return await self._execute(_answering(outcomes))
        return ExecutionResult(data)

    async def _ask(self, roots: list[Root], outcomes: Outcomes) -> bool:
        """Call resolvers, all at the same time, add what they come to, and return whether none raised anything.

        Where one raises without waiting, it is for graphql-core to say whether the others run.
        """
        begun: list[tuple[Root, Awaitable[Any]]] = []
        for root in roots:
            try:
                value = self._resolve(root)
            except Exception as exc:  # noqa: BLE001  # graphql-core tells it.
                outcomes[root.path] = Came(exc, was_awaited=False)
                for _, other in begun:
                    if iscoroutine(other):
                        other.close()
                return False
            if optimized_is_awaitable(value):
                begun.append((root, value))
            else:
                outcomes[root.path] = Came(value, was_awaited=False)
        if begun:
            found = await _all([value for _, value in begun])
            outcomes.update((root.path, came) for (root, _), came in zip(begun, found, strict=True))
        return not any(isinstance(came.value, Exception) for came in outcomes.values())

    async def _ask_one(self, root: Root, outcomes: Outcomes) -> bool:
        """Do the same for one resolver."""
        waits = False
        try:
            value = self._resolve(root)
            waits = optimized_is_awaitable(value)
            if waits:
                value = await value
        except Exception as exc:  # noqa: BLE001  # graphql-core tells it.
            value = exc
        outcomes[root.path] = Came(value, waits)
        return not isinstance(value, Exception)

    async def _finish(self, infos: Infos, outcomes: Outcomes) -> None:
        """Put into the answer what was put off; add to the outcomes. Raises what a resolver raises, and Unfit."""
        while infos.waiting:
            waiting, infos.waiting = infos.waiting, []
            found = await _all([self._begin(one, infos) for one in waiting])
            outcomes.update((one.path, came) for one, came in zip(waiting, found, strict=True))
            for one, came in zip(waiting, found, strict=True):
                if isinstance(came.value, Exception):
                    raise came.value
                one.answer[one.path[-1]] = one.complete(came.value, infos)

    async def _begin(self, one: Waiting, infos: Infos) -> Any:
        place = self.plan.places[one.place]
        assert place.field.resolve is not None
        return await place.field.resolve(one.source, infos[one.place], **self._arguments(place))

    def _arguments(self, place: Place) -> dict[str, Any]:
        """Return what graphql-core would give a field's resolver. Raises GraphQLError."""
        return get_argument_values(place.field, place.nodes[0], self.variable_values, None, self.hide_suggestions)

    def _resolve(self, root: Root) -> Any:
        """Return what the resolver of a root does. Raises what that does, and GraphQLError for arguments."""
        call, place = root.call, root.place
        if call is not None:
            try:
                arguments = call.arguments(self.variable_values)
            except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
                call = None
        if call is None:
            plans_by["strawberry"] += 1
            resolve = place.field.resolve or default_field_resolver
            return resolve(None, self._info(root), **self._arguments(place))
        return call.resolve(self.context_value, arguments, self._info(root) if call.info else None)

    def _info(self, root: Root) -> GraphQLResolveInfo[Any]:
        info: GraphQLResolveInfo[Any] = self.build_resolve_info(
            root.place.field, root.place.nodes, root.place.parent, root.info_path
        )
        return info

    def render_event(self, event: Any) -> dict[str, Any] | None:
        """Return the data of a subscription's event, None if the plan gives it up."""
        root = self.plan.root
        assert root is not None
        self.context_value.large_bytes = 0
        try:
            return {root.key: root.render(event, Infos(self))}
        except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
            plans_by["value"] += 1
            return None

    def executor(self, *middleware: Answered) -> PlannedExecutor:
        """Return graphql-core's executor for the operation, following its plan."""
        executor = PlannedExecutor(
            self.schema,
            self.fragments.definitions,
            self.fragments.details,
            None,
            self.context_value,
            self.operation,
            self.variable_values,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            middleware_manager=MiddlewareManager(*middleware) if middleware else None,
            is_awaitable=optimized_is_awaitable,
            hide_suggestions=self.hide_suggestions,
            operation_extensions=self.operation_extensions,
        )
        if not middleware:
            executor.plan = self.plan
        return executor

    async def _execute(self, *middleware: Answered) -> ExecutionResult:
        result = execute_root_selection_set(self.executor(*middleware))
        return await result if isawaitable(result) else result


async def _all(begun: Sequence[Awaitable[Any]]) -> list[Came]:
    """Return what resolvers that wait come to, in their order."""
    if len(begun) == 1:
        return [await _one(begun[0])]
    try:
        return await asyncio.gather(*map(_one, begun))
    except asyncio.CancelledError:
        for one in begun:
            if iscoroutine(one) and getcoroutinestate(one) == CORO_CREATED:
                one.close()  # It was cancelled before its first step, and Python would warn of it.
        raise


async def _one(begun: Awaitable[Any]) -> Came:
    try:
        return Came(await begun, was_awaited=True)
    except Exception as exc:  # noqa: BLE001  # graphql-core tells it.
        return Came(exc, was_awaited=True)


def _answering(outcomes: Outcomes) -> Answered:
    """Return what stands for the resolvers that have run."""

    def answer(resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        came = outcomes.get(tuple(info.path.as_list()))
        if came is None:
            return resolve(source, info, **arguments)
        return soon(came.value) if came.was_awaited else now(came.value)

    async def soon(value: Any) -> Any:
        return now(value)

    def now(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return answer
