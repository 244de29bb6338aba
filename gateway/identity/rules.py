"""Who may do what: every root field with the least role that may ask for it. There is no other place that decides.

| role     | may                                                                                        |
|----------|--------------------------------------------------------------------------------------------|
| viewer   | read and follow its own tasks and batches; read items, which belong to nobody              |
| operator | also submit, cancel and retry its own tasks, and change items                               |
| admin    | all of that with everybody's tasks and batches, and whatever is done with dead letters     |

Nothing is public: `__typename` and the schema too are for those who are known. What is below a root field inherits its
rule; whose tasks it shows is `Principal.visible`, so another's task is NOT_FOUND, never FORBIDDEN.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLField, GraphQLResolveInfo, GraphQLSchema

from core.documents import Role

RULES: dict[str, dict[str, Role]] = {
    "Query": {
        "item": Role.VIEWER,
        "items": Role.VIEWER,
        "task": Role.VIEWER,
        "tasks": Role.VIEWER,
        "batch": Role.VIEWER,
        "node": Role.VIEWER,
        "taskKinds": Role.VIEWER,
        "fleet": Role.VIEWER,
        "health": Role.VIEWER,
        "deadLetters": Role.ADMIN,
    },
    "Mutation": {
        "createItem": Role.OPERATOR,
        "createItems": Role.OPERATOR,
        "updateItem": Role.OPERATOR,
        "deleteItem": Role.OPERATOR,
        "submitTask": Role.OPERATOR,
        "submitTasks": Role.OPERATOR,
        "cancelTask": Role.OPERATOR,
        "cancelTasks": Role.OPERATOR,
        "retryTask": Role.OPERATOR,
        "retryTasks": Role.OPERATOR,
        "resendDeadLetter": Role.ADMIN,
        "discardDeadLetter": Role.ADMIN,
    },
    "Subscription": {
        "taskProgress": Role.VIEWER,
        "taskEvents": Role.VIEWER,
        "tasksChanged": Role.VIEWER,
        "batchProgress": Role.VIEWER,
    },
}
KIND_RULE = Role.OPERATOR
"""For the mutations that the installed kinds add."""


def rule_of(root: str, field: str, kinds: Collection[str]) -> Role:
    """Return the least role for a root field. Raises TypeError if it has no rule."""
    if field in RULES[root]:
        return RULES[root][field]
    if root == "Mutation" and field in kinds:
        return KIND_RULE
    raise TypeError(f"{root}.{field} has no rule: gateway/identity/rules.py says who may ask for it")


def enforce(schema: GraphQLSchema, kinds: Collection[str]) -> None:
    """Make every root field of the schema ask for its role first. Raises TypeError if one has no rule."""
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        if root is not None:
            for name, field in root.fields.items():
                _guard(field, f"{root.name}.{name}", rule_of(root.name, name, kinds))


@dataclass(frozen=True)
class Guarded:
    """A root field's resolver as Strawberry made it, behind the rule for the field."""

    name: str
    role: Role
    inner: Callable[..., Any]

    def __call__(self, source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        """Resolve the field. Raises Forbidden."""
        info.context.principal.require(self.role, self.name)
        return self.inner(source, info, **arguments)


def _guard(field: GraphQLField, name: str, role: Role) -> None:
    """A subscription is guarded where its source begins; what it yields has passed then."""
    if field.subscribe is not None:
        field.subscribe = Guarded(name, role, field.subscribe)
    elif field.resolve is not None:
        field.resolve = Guarded(name, role, field.resolve)
