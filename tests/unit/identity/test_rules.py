"""The table of rules: complete, without leftovers, and asked at every root field."""

from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, GraphQLString

from core.documents import Role
from core.errors import Forbidden
from gateway.identity.principals import LOCAL, Principal
from gateway.identity.rules import KIND_RULE, RULES, enforce, rule_of
from gateway.schema import build_schema
from jobs.kinds import load_kinds

KINDS = load_kinds()


def roots() -> list[GraphQLObjectType]:
    """Return the roots of the real schema."""
    schema = build_schema(KINDS)._schema
    found = [schema.query_type, schema.mutation_type, schema.subscription_type]
    return [root for root in found if root is not None]


def test_every_root_field_has_a_rule() -> None:
    for root in roots():
        for name in root.fields:
            assert isinstance(rule_of(root.name, name, KINDS), Role)


def test_every_rule_has_its_field() -> None:
    fields = {root.name: set(root.fields) for root in roots()}
    assert {root: set(rules) - fields[root] for root, rules in RULES.items()} == {root: set() for root in RULES}


def test_kinds_are_for_operators_under_no_name_of_another_field() -> None:
    assert not RULES["Mutation"].keys() & KINDS.keys()
    assert all(rule_of("Mutation", name, KINDS) is KIND_RULE for name in KINDS)


def test_schema_with_a_field_without_a_rule_can_not_be_made() -> None:
    field = GraphQLField(GraphQLString)
    with pytest.raises(TypeError, match=r"Query\.secrets has no rule"):
        enforce(GraphQLSchema(GraphQLObjectType("Query", {"secrets": field})), KINDS)
    with pytest.raises(TypeError, match=r"Query\.importItems has no rule"):
        rule_of("Query", "importItems", KINDS)


@pytest.mark.parametrize("role", list(Role))
def test_each_root_field_asks_for_its_role_before_anything_else(role: Role) -> None:
    info: Any = SimpleNamespace(context=SimpleNamespace(principal=Principal("me", role)))
    for root in roots():
        for name, field in root.fields.items():
            ask = field.subscribe or field.resolve
            assert ask is not None
            if list(Role).index(role) < list(Role).index(rule_of(root.name, name, KINDS)):
                with pytest.raises(Forbidden, match=rf"{root.name}\.{name} needs the role"):
                    ask(None, info)


async def test_forbidden_is_told_as_such_and_nothing_else_runs() -> None:
    schema = build_schema(KINDS)
    context = SimpleNamespace(principal=Principal("me", Role.VIEWER), services=None, correlation_id="c")
    result = await schema.execute('mutation { deleteItem(id: "x") }', context_value=context)
    assert isinstance(result, strawberry.types.ExecutionResult)
    assert result.errors is not None
    cause = result.errors[0].original_error
    assert isinstance(cause, Forbidden)
    assert cause.extensions == {"code": "FORBIDDEN", "field": "Mutation.deleteItem", "role": "operator"}


def test_admin_sees_everybody_s_and_others_their_own() -> None:
    assert (LOCAL.visible, LOCAL.may_see("bob")) == ({}, True)
    for role in (Role.VIEWER, Role.OPERATOR):
        alice = Principal("alice", role)
        assert alice.visible == {"owner": "alice"}
        assert (alice.may_see("alice"), alice.may_see("bob")) == (True, False)
