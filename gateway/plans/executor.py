"""graphql-core's executor, which leaves to a plan what the plan can render."""

from typing import Any

from graphql import GraphQLOutputType, GraphQLResolveInfo
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.metrics import PLANS
from gateway.plans.plan import Plan, Plans
from gateway.plans.writer import Infos

NO_PLAN = Plan("none")


class _Infos(Infos):
    """What resolvers and types are told, made when it is asked for.

    The path is not in it, since it is one for all entries of a list: whoever reads it gives the value up.
    """

    def __init__(self, executor: "PlannedExecutor") -> None:
        super().__init__()
        self._executor = executor

    def __missing__(self, index: int) -> GraphQLResolveInfo[Any]:
        place = self._executor.plan.places[index]
        nodes = [details.node for details in place.details]
        info = self._executor.build_resolve_info(place.field, nodes, place.parent, None)  # type: ignore[arg-type]
        self[index] = info
        return info


class PlannedExecutor(StrawberryGraphQLCoreExecutionContext):
    """Renders by its plan; what that gives up, it completes from the same value, field by field."""

    plan: Plan = NO_PLAN
    _given_up: frozenset[Path] = frozenset()

    def follow(self, plans: Plans) -> None:
        """Take the plan that the document has for this operation, and count how far it goes."""
        self.plan = plans.find(self.operation, self.variable_values)
        PLANS.labels(self.plan.served).inc()

    def build_per_event_executor(self, payload: Any) -> "PlannedExecutor":
        """Copy the executor for an event that the plan gave up, or none of which it renders whole."""
        executor = super().build_per_event_executor(payload)
        assert isinstance(executor, PlannedExecutor)
        if self.plan.event is not None:
            executor.plan = NO_PLAN
        return executor

    def render_event(self, event: Any) -> dict[str, Any] | None:
        """Return the data of a subscription's event, None if the plan gives it up."""
        assert self.plan.event is not None
        key, render = self.plan.event
        try:
            return {key: render(event, _Infos(self))}
        except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
            PLANS.labels("value").inc()
            return None

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
                return render(result, _Infos(self))
            except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
                self._given_up |= {path}
                PLANS.labels("value").inc()
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)
