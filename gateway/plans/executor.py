"""graphql-core's executor, which leaves to a plan what the plan can render."""

from typing import Any, NamedTuple, Protocol, cast

from graphql import GraphQLField, GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from core.errors import HeadwayError
from gateway.errors import release
from gateway.metrics import plans_by
from gateway.plans.places import Render
from gateway.plans.plan import Plan

NO_PLAN = Plan("none")


class Teller(Protocol):
    """What makes the infos of one operation."""

    plan: Plan

    def build_resolve_info(self, field: GraphQLField, nodes: Any, parent: GraphQLObjectType, path: Any) -> Any: ...


class Waiting(NamedTuple):
    """A field whose value is put into an answer when its resolver has it."""

    answer: dict[str, Any]
    path: tuple[str, ...]
    source: Any
    place: int
    complete: Render


class Infos(dict[int, GraphQLResolveInfo[Any]]):
    """What resolvers and types are told, made when it is asked for.

    The path is not in it, since it is one for all entries of a list: whoever reads it gives the value up.
    """

    def __init__(self, teller: Teller) -> None:
        super().__init__()
        self._teller = teller
        self.waiting: list[Waiting] = []

    def wait(self, answer: dict[str, Any], path: tuple[str, ...], source: Any, place: int, complete: Render) -> None:
        """Put off a field whose resolver waits."""
        self.waiting.append(Waiting(answer, path, source, place, complete))

    def __missing__(self, index: int) -> GraphQLResolveInfo[Any]:
        place = self._teller.plan.places[index]
        info: GraphQLResolveInfo[Any] = self._teller.build_resolve_info(place.field, place.nodes, place.parent, None)
        self[index] = info
        return info


class PlannedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Renders by its plan; what that gives up, it completes from the same value, field by field."""

    plan: Plan = NO_PLAN
    _given_up: frozenset[Path] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.async_helpers = cast(Any, None)  # Our resolvers use none of them, and they would hold the executor.

    def build_per_event_executor(self, payload: Any) -> "PlannedExecutor":
        """Copy the executor for an event that the plan gave up, or none of which it renders whole."""
        executor = super().build_per_event_executor(payload)
        assert isinstance(executor, PlannedExecutor)
        if self.plan.root is not None:
            executor.plan = NO_PLAN
        return executor

    def handle_field_error(
        self, raw_error: Exception, return_type: GraphQLOutputType, field_details_list: FieldDetailsList, path: Path
    ) -> None:
        """Put an error in its place. One that is meant for the client loses its frames: not all reach `mask`."""
        if isinstance(raw_error, HeadwayError):
            release(raw_error)
        super().handle_field_error(raw_error, return_type, field_details_list, path)

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete a value by its renderer, if it has one and that can."""
        render = self.plan.find(path) if self.plan.renderers else None
        if render is not None and path not in self._given_up:
            try:
                return render(result, Infos(self))
            except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
                self._given_up |= {path}
                plans_by["value"] += 1
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)
