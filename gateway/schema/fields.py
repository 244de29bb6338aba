"""Decorators for root fields: Strawberry's own, with types that survive them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import strawberry
from strawberry import Info

from gateway.context import OperationContext
from gateway.guard.directives import CHANGE_WEIGHT, Cost

F = TypeVar("F", bound=Callable[..., Any])
ContextInfo = Info[OperationContext, None]


def query(graphql_type: Any, description: str, *prices: object) -> Callable[[F], F]:
    """Make a method a field of the query root. `graphql_type` is what clients see of the value it returns.

    `prices` are the directives of gateway.guard.directives that say what it costs.
    """
    return _decorator(strawberry.field, graphql_type, description, prices)


def mutation(graphql_type: Any, description: str, *prices: object, weight: str = CHANGE_WEIGHT) -> Callable[[F], F]:
    """Make a method a field of the mutation root."""
    return _decorator(strawberry.mutation, graphql_type, description, (Cost(weight=weight), *prices))


def subscription(graphql_type: Any, description: str, *prices: object) -> Callable[[F], F]:
    """Make a method that returns an asynchronous iterable a field of the subscription root, priced by the event."""
    return _decorator(strawberry.subscription, graphql_type, description, prices)


def _decorator(
    make: Callable[..., Any], graphql_type: Any, description: str, prices: Sequence[object]
) -> Callable[[F], F]:
    def decorate(method: F) -> F:
        return cast(F, make(method, graphql_type=graphql_type, description=description, directives=prices))

    return decorate
