"""One operation that is about to run: by the short way where it is one field that its plan renders whole.

The short way calls the resolver and renders what it returns. Where either fails, graphql-core executes the operation
with what the resolver came to, so its errors are told as always, and no resolver runs twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
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
from gateway.plans.executor import Infos, PlannedExecutor
from gateway.plans.plan import Plan, Root
from gateway.plans.scope import Fragments

Answered = Callable[..., Any]


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
        root = self.plan.root
        if root is None:
            return await self._execute()
        try:
            value = self._resolve(root)
            if optimized_is_awaitable(value):
                value = await value
        except Exception as exc:  # noqa: BLE001  # graphql-core tells it.
            return await self._execute(_raising(exc))
        try:
            return ExecutionResult({root.key: root.render(value, Infos(self))})
        except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
            plans_by("value").inc()
            return await self._execute(_returning(value))

    def _resolve(self, root: Root) -> Any:
        """Return what the resolver of the only field does. Raises what that does, and GraphQLError for arguments."""
        call, place = root.call, root.place
        if call is not None:
            try:
                arguments = call.arguments(self.variable_values)
            except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
                call = None
        if call is None:
            plans_by("strawberry").inc()
            arguments = get_argument_values(
                place.field, place.nodes[0], self.variable_values, None, self.hide_suggestions
            )
            return (place.field.resolve or default_field_resolver)(None, self._info(root), **arguments)
        return call.resolve(self.context_value, arguments, self._info(root) if call.info else None)

    def _info(self, root: Root) -> GraphQLResolveInfo[Any]:
        info: GraphQLResolveInfo[Any] = self.build_resolve_info(
            root.place.field, root.place.nodes, root.place.parent, root.path
        )
        return info

    def render_event(self, event: Any) -> dict[str, Any] | None:
        """Return the data of a subscription's event, None if the plan gives it up."""
        root = self.plan.root
        assert root is not None
        self.context_value.large.reset()
        try:
            return {root.key: root.render(event, Infos(self))}
        except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
            plans_by("value").inc()
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


def _raising(error: Exception) -> Answered:
    """Return what stands for the resolver of the only root field."""

    def answer(resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        if info.path.prev is None:
            raise error
        return resolve(source, info, **arguments)

    return answer


def _returning(value: Any) -> Answered:
    """Return what stands for the resolver of the only root field."""

    def answer(resolve: Callable[..., Any], source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        return value if info.path.prev is None else resolve(source, info, **arguments)

    return answer
