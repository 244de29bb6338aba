"""A plan: the renderers of one operation, by where their values stand; and the plans of one document."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_leaf_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.execution.values import VariableValues
from graphql.pyutils import Path

from gateway.plans.calls import Call
from gateway.plans.places import MAX_FIELDS, Ledger, Place, Render, repeat
from gateway.plans.scope import Scope, Unplannable, find_conditions, fragments_of, keep_conditions, name_of
from gateway.plans.variables import Coerce, write_variables
from gateway.plans.writer import Writer

MAX_PLANS = 4
"""Of one document: its operations, and which of their fields are there. Others run on graphql-core."""
NEW = "new"
"""Served by no plan: the operation is seen for the first time, or one for it is not due yet."""
REST = 3.0
"""So that a flood of new operations costs a quarter of the time in plans."""
RENDERER_BYTES = 2_500
FIELD_BYTES = 1_800
"""Of memory, as measured; their lists and dicts included."""

Key = tuple[tuple[str | int, str | None], ...]
"""A place in the response, innermost first: names and the types they stand in, without the indices of lists."""


@dataclass
class Root:
    """A field of an operation. `call` is None where its resolver has to be called as graphql-core does."""

    key: str
    place: Place
    render: Render
    info_path: Path
    call: Call | None

    @cached_property
    def path(self) -> tuple[str]:
        """Where in the answer it stands."""
        return (self.key,)


@dataclass
class Plan:
    """What renders the values of an operation. `served` says how far it goes, as the metric tells it."""

    served: str
    renderers: dict[Key, Render] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    fields: int = 0
    roots: list[Root] = field(default_factory=list)
    """All of an operation that it renders whole."""
    one_by_one: bool = False
    """Whether they are asked one after the other, as a mutation's are."""
    repeats: bool = True
    """Whether one value may stand in the answer under several names: then that may be far larger than what is held."""
    number: int = field(default_factory=count().__next__)

    @property
    def root(self) -> Root | None:
        """The only field of an operation that it renders whole, None if there are several."""
        return self.roots[0] if len(self.roots) == 1 else None

    @property
    def size(self) -> int:
        """The bytes that it takes, about."""
        return len(self.renderers) * RENDERER_BYTES + self.fields * FIELD_BYTES

    def find(self, path: Path) -> Render | None:
        """Return what renders the value at a path of the response."""
        if path.prev is None:
            return self.renderers.get(((path.key, path.typename),))
        if self.served == "whole" or isinstance(path.key, int):
            return None
        key = []
        step: Path | None = path
        while step is not None:
            if not isinstance(step.key, int):
                key.append((step.key, step.typename))
            step = step.prev
        return self.renderers.get(tuple(key))


class Planner:
    """Makes one plan: a renderer for each root, or else for what lies as close below it as can be.

    `waits` says that resolvers below the roots may wait, if all are rendered whole.
    """

    def __init__(self, scope: Scope, *, waits: bool) -> None:
        self._scope = scope
        self._waits = waits
        self._ledger = Ledger()
        self._plan = Plan("whole", places=self._ledger.places)

    def make(self) -> Plan:
        """Return the plan of the operation."""
        root = self._scope.schema.get_root_type(self._scope.operation.operation)
        assert root is not None
        fields = self._scope.root_fields(root)
        for key, details in fields.items():
            self._place(root, details, ((key, root.name),))
        if self._plan.served == "whole" and len(self._plan.renderers) == len(fields):
            self._plan.roots = [self._root(root, details, key) for key, details in fields.items()]
            self._plan.one_by_one = self._scope.operation.operation is OperationType.MUTATION
        self._plan.repeats = not self._plan.roots or self._ledger.repeats or repeat(fields)
        arguments = sum(one.call.fields for one in self._plan.roots if one.call)
        self._plan.fields = MAX_FIELDS - self._ledger.fields_left + arguments
        return self._plan

    def _root(self, parent: GraphQLObjectType, details: FieldDetailsList, key: str) -> Root:
        render = self._plan.renderers[(key, parent.name),]
        place = Place(parent.fields[name_of(details)], parent, details)
        try:
            call = Call(place, self._scope.schema._strawberry_schema)  # type: ignore[attr-defined]
        except Unplannable:
            call = None
        return Root(key, place, render, Path(None, key, parent.name), call)

    def _place(self, parent: GraphQLObjectType, details: FieldDetailsList, key: Key) -> None:
        name = name_of(details)
        if name == "__typename":
            return
        if name not in parent.fields:
            self._plan.served = "introspection"
            return
        place = Place(parent.fields[name], parent, details)
        named = get_named_type(place.field.type)
        if is_leaf_type(named) and len(key) > 1:
            return
        try:
            self._ledger.spend()
            path = (str(key[0][0]),) if self._waits and len(key) == 1 else None
            self._plan.renderers[key] = Writer(self._scope, self._ledger, path).render(place.field.type, place)
        except Unplannable as exc:
            self._plan.served = exc.reason
            if exc.reason != "size" and is_object_type(named):
                for below, below_details in self._scope.fields_below(named, details).items():
                    self._place(named, below_details, ((below, named.name), *key))


class Pace:
    """How much of the time goes into making plans, which the event loop waits for: `rest` times as long as one took
    passes before the next. Whoever asks meanwhile is served by graphql-core."""

    def __init__(self, rest: float = REST) -> None:
        self._rest = rest
        self._free_at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether a plan may be made now."""
        return time.monotonic() >= self._free_at

    def note(self, began_at: float) -> None:
        """Take note that a plan was made since `began_at`."""
        ended_at = time.monotonic()
        self._free_at = ended_at + self._rest * (ended_at - began_at)


class Plans:
    """The plans of one document, each made when its operation is asked for the second time, or later at this pace.

    A subscription asks again from its second event on. `grow` is asked whether so many bytes more may be kept with the
    document.
    """

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, grow: Callable[[int], bool], pace: Pace) -> None:
        self._schema = schema
        self._document = document
        self._grow = grow
        self._pace = pace
        self._conditions: frozenset[str] | None = None
        self._plans: dict[tuple[object, ...], Plan | None] = {}
        self._coercers: dict[int, Coerce | None] = {}

    def coerce(self, operation: OperationDefinitionNode, given: Mapping[str, Any]) -> VariableValues | None:
        """Return the values of an operation's variables, None where graphql-core has to find them, or what is wrong."""
        coerce = self._coercers.get(id(operation))
        if coerce is None:
            return None
        try:
            return coerce(given)
        except Exception:  # noqa: BLE001  # Whatever is wrong, graphql-core meets it again and tells it.
            return None

    def find(self, operation: OperationDefinitionNode, values: VariableValues) -> Plan:
        """Return the plan for an operation with these variables; an empty one where graphql-core has to do it all."""
        try:
            if self._conditions is None:
                self._conditions = find_conditions(self._document)
        except Unplannable as exc:
            return Plan(exc.reason)
        conditions: tuple[object, ...] = ()
        if self._conditions:
            conditions = tuple((name, values.coerced.get(name, ...)) for name in sorted(self._conditions))
        key = (id(operation), conditions)
        plan = self._plans.get(key)
        if plan is not None:
            return plan
        if key not in self._plans:
            if len(self._plans) >= MAX_PLANS:
                return Plan("variants")
            self._plans[key] = None
            return Plan(NEW)
        if not self._pace.is_due:
            return Plan(NEW)
        plan = self._plans[key] = self._keep(operation, keep_conditions(values, self._conditions))
        return plan

    def _keep(self, operation: OperationDefinitionNode, conditions: VariableValues) -> Plan:
        """Make a plan, and with the operation's first what coerces its variables, if there is room for them."""
        began_at = time.monotonic()
        plan = self._make(operation, conditions)
        coerce, fields = None, 0
        if operation.variable_definitions and id(operation) not in self._coercers:
            with suppress(Unplannable):
                coerce, fields = write_variables(self._schema, operation)
        self._pace.note(began_at)
        if not self._grow(plan.size + (RENDERER_BYTES + fields * FIELD_BYTES if coerce else 0)):
            return Plan("memory")
        self._coercers.setdefault(id(operation), coerce)
        return plan

    def _make(self, operation: OperationDefinitionNode, conditions: VariableValues) -> Plan:
        scope = Scope(self._schema, operation, fragments_of(self._document).details, conditions)
        if operation.operation is not OperationType.SUBSCRIPTION:
            plan = Planner(scope, waits=True).make()
            if plan.roots:
                return plan
        return Planner(scope, waits=False).make()
