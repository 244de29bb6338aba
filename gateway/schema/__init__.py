"""The GraphQL schema, code first: one module a noun, put together here."""

import types
from collections.abc import Mapping
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.types.arguments import StrawberryArgument
from strawberry.utils.str_converters import to_camel_case

from gateway.identity.rules import enforce
from gateway.schema.batches import BatchMutation, BatchQuery, BatchSubscription
from gateway.schema.boards import BoardSubscription
from gateway.schema.control import ControlMutation
from gateway.schema.dead_letters import DeadLetterMutation, DeadLetterQuery
from gateway.schema.fleet import FleetQuery
from gateway.schema.health import HealthQuery
from gateway.schema.item_mutations import ItemMutation
from gateway.schema.items import ItemQuery
from gateway.schema.kinds import KindQuery, SubmitMutation, build_kind_types
from gateway.schema.nodes import NodeQuery
from gateway.schema.scalars import SCALARS, read_attribute
from gateway.schema.subscriptions import TaskSubscription
from gateway.schema.task_events import EVENT_TYPES
from gateway.schema.task_queries import TaskQuery
from gateway.schema.tasks import UntypedTask
from jobs.kinds import Kind


@strawberry.type(description="What can be read.")
class Query(ItemQuery, TaskQuery, BatchQuery, DeadLetterQuery, KindQuery, FleetQuery, HealthQuery, NodeQuery):
    """The root of queries."""


@strawberry.type(description="What can be followed live.")
class Subscription(TaskSubscription, BoardSubscription, BatchSubscription):
    """The root of subscriptions."""


class KeptNames(NameConverter):
    """Strawberry asks for the name of each argument at each call; it is made once."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[StrawberryArgument, str] = {}

    def from_argument(self, argument: StrawberryArgument) -> str:
        """Return the name that an argument has in the schema."""
        name = self._names.get(argument)
        if name is None:
            name = self._names[argument] = super().from_argument(argument)
        return name


OWN_MUTATIONS: tuple[Any, ...] = (ItemMutation, SubmitMutation, BatchMutation, ControlMutation, DeadLetterMutation)
BUILT_IN = frozenset(
    to_camel_case(field.python_name) for own in OWN_MUTATIONS for field in own.__strawberry_definition__.fields
)


def build_schema(kinds: Mapping[str, Kind]) -> strawberry.Schema:
    """Return the schema with these kinds in it, each root field of which asks for its role.

    Raises TypeError where a kind's models can't become GraphQL types, its name is taken, or a field has no rule.
    Its resolvers expect a gateway.context.OperationContext whose services know the same kinds.
    """
    if taken := BUILT_IN & kinds.keys():
        raise TypeError(f"a kind can't be called {min(taken)}: that mutation is Headway's own")
    added = build_kind_types(kinds)
    first, *others = OWN_MUTATIONS
    bases = (first, *((added.mutation,) if added.mutation else ()), *others)
    mutation = strawberry.type(
        types.new_class("Mutation", bases), name="Mutation", description="What can be changed and submitted."
    )
    schema = strawberry.Schema(
        query=Query,
        mutation=mutation,
        subscription=Subscription,
        types=[UntypedTask, *added.task_types, *added.input_types, *EVENT_TYPES],
        config=StrawberryConfig(default_resolver=read_attribute, scalar_map=dict(SCALARS), name_converter=KeptNames()),
    )
    enforce(schema._schema, kinds)
    return schema
