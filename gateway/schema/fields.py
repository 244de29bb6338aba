"""Decorators for root fields: Strawberry's own, with types that survive them."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry
from strawberry import Info

from gateway.context import OperationContext

F = TypeVar("F", bound=Callable[..., Any])
ContextInfo = Info[OperationContext, None]


def query(graphql_type: Any, description: str) -> Callable[[F], F]:
    """Make a method a field of the query root. `graphql_type` is what clients see of the value it returns."""
    return _decorator(strawberry.field, graphql_type, description)


def mutation(graphql_type: Any, description: str) -> Callable[[F], F]:
    """Make a method a field of the mutation root."""
    return _decorator(strawberry.mutation, graphql_type, description)


def subscription(graphql_type: Any, description: str) -> Callable[[F], F]:
    """Make an asynchronous generator a field of the subscription root."""
    return _decorator(strawberry.subscription, graphql_type, description)


def _decorator(make: Callable[..., Any], graphql_type: Any, description: str) -> Callable[[F], F]:
    def decorate(method: F) -> F:
        return cast(F, make(method, graphql_type=graphql_type, description=description))

    return decorate
