"""From a document's text to its outcome, for every transport: guard, then execute.

Knows graphql-core and Strawberry's schema, but no transport.
"""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import strawberry
from graphql import GraphQLError, get_variable_values
from graphql.execution.values import VariableValues

from core.errors import RateLimited
from core.telemetry import RequestLogger
from gateway.context import OperationContext
from gateway.errors import mask
from gateway.frames import Frames
from gateway.guard.documents import READING_COST, Document, Documents, Prepared, Rejected
from gateway.guard.turns import Turns
from gateway.identity.meter import Meter
from gateway.identity.principals import LOCAL
from gateway.metrics import operations_by, plans_by, running_operations_by
from gateway.outcomes import Outcome, outcome_of
from gateway.plans.execution import Execution
from gateway.plans.plan import NEW
from gateway.subscription import Subscription
from gateway.tracing import SubscriptionSpan, operation_span, subscription_span
from gateway.transports.caps import CapReached, Tally
from gateway.transports.limits import EdgeLimits
from gateway.transports.request import GraphQLRequest
from gateway.trusted import TrustedDocuments

COST_EXTENSION = "cost"
"""A request whose extensions hold this with true is told what it costs, in the response's extensions."""

MAX_COERCION_ERRORS = 50
"""Of variables that don't fit: how many are told."""

NO_VALUES = VariableValues({}, {})

log = RequestLogger(__name__)


class Refused(Exception):
    """The operation can't be executed; nothing has been. `retry_after_s` is None where asking again is of no use."""

    def __init__(self, errors: Sequence[Mapping[str, Any]], retry_after_s: int | None = None) -> None:
        super().__init__(errors[0]["message"])
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s

    @classmethod
    def because(cls, code: str, *errors: GraphQLError) -> "Refused":
        """Return a refusal for what is wrong with the request itself, under one code."""
        return cls([{**error.formatted, "extensions": {**(error.extensions or {}), "code": code}} for error in errors])

    @property
    def outcome(self) -> Outcome:
        """The refusal as what to answer."""
        return Outcome(None, self.errors, began=False)


class Operations:
    """Prepares and executes the operations of one schema.

    Strawberry's schema extensions are not run: what they would do (limits, masking, tracing) has its own place here.
    """

    def __init__(self, schema: strawberry.Schema, limits: EdgeLimits, trusted: TrustedDocuments | None = None) -> None:
        self._graphql_schema = schema._schema
        self._documents = Documents(schema._schema, limits)
        self._frames = Frames(limits.max_response_bytes)
        self.turns = Turns()
        self._trusted = TrustedDocuments() if trusted is None else trusted
        self._max_cost = limits.max_cost
        self._max_response_bytes = limits.max_response_bytes
        self._hide_suggestions = not limits.suggestions
        self._logs = limits.request_log
        self._subscriptions = Tally(
            "subscriptions of one caller", "subscriptions_per_principal", limits.subscriptions_per_principal
        )

    def known(self, asked: GraphQLRequest) -> Prepared | None:
        """Return what `admit` does where that neither waits nor refuses, else None."""
        try:
            document = self._documents.find(self._trusted.text_of(asked))
        except Rejected:
            return None
        return None if document is None else document.operations.get(asked.operation_name or None)

    async def admit(self, asked: GraphQLRequest, context: OperationContext) -> Prepared:
        """Return what `prepare` does; reading a new document is charged to whoever asks, and waits for its turn."""
        with suppress(Rejected):  # Then there is no text to read.
            if not self._documents.knows(self._trusted.text_of(asked)):
                await self._take(READING_COST, "unknown", context)
                async with self.turns.take():
                    return self.prepare(asked)
        return self.prepare(asked)

    def prepare(self, asked: GraphQLRequest) -> Prepared:
        """Return the operation that a request asks for; without a name, the only one. Raises Refused."""
        try:
            return _find_operation(self._documents.read(self._trusted.text_of(asked)), asked.operation_name or None)
        except Rejected as rejected:
            operations_by["unknown", "refused"] += 1
            raise Refused(rejected.errors) from None
        except Refused:
            operations_by["unknown", "refused"] += 1
            raise

    def cost(self, prepared: Prepared, variables: Mapping[str, Any] | None) -> int:
        """Return what an operation costs with these variables. Raises Refused when that is more than allowed."""
        cost = prepared.cost.evaluate(variables)
        if cost > self._max_cost:
            operations_by[prepared.label, "refused"] += 1
            message = f"Expected an operation that costs at most {self._max_cost}; this one costs {cost}"
            extensions = {"limit": "cost", "allowed": self._max_cost, "actual": cost}
            raise Refused.because("COST_LIMIT_EXCEEDED", GraphQLError(message, extensions=extensions))
        return cost

    async def _take(self, cost: int, label: str, context: OperationContext) -> None:
        """Charge a cost to whoever asks. Raises Refused."""
        try:
            await context.charge(cost)
        except RateLimited as exc:
            operations_by[label, "refused"] += 1
            raise Refused([{"message": str(exc), "extensions": exc.extensions}], exc.retry_after_s) from exc

    def _told(self, cost: int, asked: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Return what a response's extensions say of the cost, if the request's asked for it."""
        if not asked or asked.get(COST_EXTENSION) is not True:
            return None
        return {COST_EXTENSION: {"requested": cost, "allowed": self._max_cost}}

    def _begin(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        context: OperationContext,
    ) -> Execution:
        """Coerce the variables and return what executes the operation, by the plan that it has."""
        values = self._coerce(prepared, variables, context) if prepared.operation.variable_definitions else NO_VALUES
        plan = prepared.plans.find(prepared.operation, values)
        plans_by[plan.served] += 1
        return Execution(
            self._graphql_schema,
            prepared.fragments,
            prepared.operation,
            values,
            context,
            dict(extensions or {}),
            self._hide_suggestions,
            plan,
        )

    def _coerce(
        self, prepared: Prepared, variables: Mapping[str, Any] | None, context: OperationContext
    ) -> VariableValues:
        values = prepared.plans.coerce(prepared.operation, variables or {})
        if values is not None:
            return values
        found = get_variable_values(
            self._graphql_schema,
            prepared.operation.variable_definitions or (),
            dict(variables or {}),
            max_errors=MAX_COERCION_ERRORS,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(found, list):
            operations_by[prepared.label, "refused"] += 1
            raise Refused(mask(found, context.correlation_id))
        return found

    async def run(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        context: OperationContext,
    ) -> Outcome:
        """Execute a query or mutation. Raises Refused when it costs too much or the variables don't fit."""
        cost = self.cost(prepared, variables)
        if context.budget is not None:
            await self._take(cost, prepared.label, context)
        told = self._told(cost, extensions)
        execution = self._begin(prepared, variables, extensions, context)
        outcome_label, started_at = "cancelled", time.perf_counter()
        running_operations_by[prepared.label] += 1
        try:
            with operation_span(prepared.operation, prepared.label, context.correlation_id):
                result = await execution.run()
                outcome = outcome_of(result, context, told, self._max_response_bytes, repeats=execution.plan.repeats)
            outcome_label = "errors" if outcome.errors else "ok"
        finally:
            running_operations_by[prepared.label] -= 1
            self._tell(prepared, outcome_label, started_at, context)
        return outcome

    async def stream(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        context: OperationContext,
    ) -> AsyncGenerator[Outcome, None]:
        """Execute a subscription: yield one outcome an event. Close it, and its source is closed.

        Raises as `subscribe` does.
        """
        async with aclosing(await self.subscribe(prepared, variables, extensions, context)) as subscription:
            while (outcome := await subscription.next()) is not None:
                yield outcome

    async def subscribe(
        self,
        prepared: Prepared,
        variables: Mapping[str, Any] | None,
        extensions: Mapping[str, Any] | None,
        context: OperationContext,
    ) -> Subscription:
        """Begin a subscription, which has to be closed.

        Raises Refused when it costs too much or the variables don't fit.
        """
        cost = self.cost(prepared, variables)
        if context.budget is not None:
            await self._take(cost, prepared.label, context)
        told = self._told(cost, extensions)
        execution = self._begin(prepared, variables, extensions, context)
        self._take_place(context)
        running_operations_by[prepared.label] += 1
        traced = subscription_span(prepared.operation, context.correlation_id)
        ended = partial(self._ended, prepared, time.perf_counter(), context, traced)
        joined = None if traced is None else traced.joined
        plan = None
        if execution.plan.served == NEW:
            plan = partial(prepared.plans.find, prepared.operation, execution.variable_values)
        return Subscription(self._frames, execution, Meter(cost, context), told, ended, joined, plan)

    def _ended(
        self,
        prepared: Prepared,
        started_at: float,
        context: OperationContext,
        traced: SubscriptionSpan | None,
        outcome: str,
    ) -> None:
        if traced is not None:
            traced.end(outcome)
        running_operations_by[prepared.label] -= 1
        if context.principal is not LOCAL:
            self._subscriptions.give_back(context.owner)
        self._tell(prepared, outcome, started_at, context)

    def _take_place(self, context: OperationContext) -> None:
        """Count a subscription of a caller who is known by name. Raises Refused when there are too many."""
        if context.principal is LOCAL:
            return
        try:
            self._subscriptions.take(context.owner)
        except CapReached as exc:
            operations_by["subscription", "refused"] += 1
            raise Refused.because("RATE_LIMITED", GraphQLError(str(exc))) from exc

    def _tell(self, prepared: Prepared, outcome: str, started_at: float, context: OperationContext) -> None:
        """Count an operation that has ended, and log it: its name, but nothing of its document or variables."""
        operations_by[prepared.label, outcome] += 1
        if self._logs:
            name = prepared.operation.name
            log.info(
                "Operation",
                type=prepared.label,
                name=name.value[:100] if name else None,
                outcome=outcome,
                duration_ms=round((time.perf_counter() - started_at) * 1000, 1),
                correlation_id=context.correlation_id,
            )


def _find_operation(document: Document, name: str | None) -> Prepared:
    prepared = document.operations.get(name)
    if prepared is not None:
        return prepared
    if name is not None:
        message = "operationName: expected the name of an operation in the document"
    elif document.operations:
        message = "operationName: expected a name, because the document holds several operations"
    else:
        message = "query: expected a document with an operation"
    raise Refused.because("OPERATION_RESOLUTION_FAILURE", GraphQLError(message))
