"""What operations cost: by hand on a small schema, and that a document is priced in as many steps as it is long."""

from typing import Any

import pytest
import strawberry
from graphql import parse

from gateway.guard.cost import PARTS
from gateway.guard.directives import Cost, ListSize, page_size
from gateway.guard.pricing import INTROSPECTION_COST, Pricing
from gateway.guard.shape import MANY
from gateway.schema.fields import mutation, query
from tests.unit.guard.test_shape import doubling


@strawberry.input
class New:
    name: str


@strawberry.interface
class Thing:
    id: int


@strawberry.type
class Book(Thing):
    title: str
    large: str = strawberry.field(directives=[Cost(weight="5")])


@strawberry.type
class Film(Thing):
    title: str
    scenes: list[int] = strawberry.field(directives=[ListSize(assumed_size=30)])


@strawberry.type
class Edge:
    node: Book


@strawberry.type
class Page:
    nodes: list[Book]
    edges: list[Edge]
    total: int


@strawberry.type
class Query:
    plain: int
    book: Book
    books: list[Book]
    thing: Thing
    things: list[Thing] = strawberry.field(directives=[ListSize(assumed_size=10)])

    @query(Page, "A page.", page_size(20, 1_000))
    def page(self, first: int | None = 20, tags: list[str] | None = None) -> Page:
        raise NotImplementedError


@strawberry.type
class Mutation:
    @mutation(list[Book], "New books.", ListSize(slicing_arguments=["inputs"]))
    def create(self, inputs: list[New]) -> list[Book]:
        raise NotImplementedError


SCHEMA = strawberry.Schema(Query, Mutation, types=[Book, Film])._schema
PRICING = Pricing(SCHEMA)


def cost_of(text: str, variables: dict[str, Any] | None = None, name: str | None = None) -> int:
    """Return what an operation costs."""
    return PRICING.price(parse(text))[name].evaluate(variables)


@pytest.mark.parametrize(
    ("text", "tenths"),
    [
        ("{ plain }", 1),
        ("{ __typename }", 1),
        ("{ book { id title } }", 10 + 2),
        ("{ book { large } }", 10 + 50),
        ("{ books { title } }", 10 + 100 * (10 + 1)),
        ("{ things { id } }", 10 + 10 * (10 + 1)),
        ("{ page { total nodes { title } } }", 10 + 1 + 10 + 20 * (10 + 1)),
        ("{ page(first: 7) { nodes { title } } }", 10 + 10 + 7 * (10 + 1)),
        ("{ page(first: null) { nodes { title } } }", 10 + 10 + 20 * (10 + 1)),
        ("{ page(first: -7) { nodes { title } } }", 10 + 10),
        ("{ page(first: 7) { edges { node { title } } } }", 10 + 10 + 7 * (10 + 10 + 1)),
        ('{ page(first: 1, tags: ["a", "b"]) { total } }', 10 + 2 * 10 + 1),
        ('mutation { create(inputs: [{name: "a"}, {name: "b"}]) { id } }', 100 + 2 * 10 + 2 * (10 + 1)),
        ("{ page(first: 7) { ...P } } fragment P on Page { nodes { ...B } } fragment B on Book { title }", 97),
    ],
)
def test_costs_add_up(text: str, tenths: int) -> None:
    assert cost_of(text) == -(-tenths // PARTS)


def test_of_an_interface_only_the_costliest_type_counts() -> None:
    film = 10 + 30
    both = "{ thing { id ... on Book { large } ... on Film { scenes } } }"
    assert cost_of(both) == -(-(10 + 1 + max(50, film)) // PARTS)
    assert cost_of("{ thing { ... on Thing { ... on Book { large title } } ... on Film { title } } }") == -(
        -61 // PARTS
    )


def test_variables_say_sizes() -> None:
    text = "query ($n: Int) { page(first: $n) { nodes { title } } }"
    assert cost_of(text, {"n": 100}) == 2 + 110
    assert cost_of(text) == cost_of(text, {"n": None}) == 2 + 22
    assert cost_of(text, {"n": 10**12}) == cost_of(text.replace("$n)", "9999)")) == 2 + 1_100
    create = "mutation ($i: [New!]!) { create(inputs: $i) { id } }"
    assert cost_of(create, {"i": [{}] * 1_000}) == 10 + 1_000 + 1_100


def test_sizes_of_the_wrong_type_count_as_unset_because_coercion_refuses_them_next() -> None:
    text = "query ($n: Int) { page(first: $n) { nodes { title } } }"
    for value in ("100", True, 1.5, {"a": 1}):
        assert cost_of(text, {"n": value}) == cost_of(text)


def test_an_operations_own_defaults_count() -> None:
    text = """
    query A($n: Int = 5) { ...F } query B($n: Int = 50) { ...F } query C($n: Int) { ...F }
    fragment F on Query { page(first: $n) { nodes { title } } }
    """
    assert [cost_of(text, name=name) for name in "ABC"] == [2 + 6, 2 + 55, 2 + 22]
    assert cost_of(text, {"n": 10}, "B") == 2 + 11


def test_numbers_of_thousands_of_digits_end_somewhere() -> None:
    assert cost_of("{ page(first: " + "9" * 5_000 + ") { nodes { title } } }") == 2 + 1_100
    create = "mutation ($i: [New!]!) { create(inputs: $i) { id } }"
    assert cost_of(create, {"i": 10**5_000}) >= MANY // PARTS


def test_introspection_costs_its_share_of_the_usual_query() -> None:
    assert cost_of("{ __schema { queryType { name } } }") < INTROSPECTION_COST / 10
    aliased = (
        "{ " + " ".join(f"a{n}: __schema {{ types {{ fields {{ type {{ name }} }} }} }}" for n in range(20)) + " }"
    )
    assert cost_of(aliased) > INTROSPECTION_COST


@pytest.mark.parametrize("levels", [10, 60])
def test_bombs_are_priced_in_as_many_steps_as_they_are_long(levels: int) -> None:
    text = doubling(levels).replace("on Q", "on Query").replace("a:x{y}", "page(first: $n) { nodes { title } }")
    [cost] = PRICING.price(parse("query ($n: Int) " + text)).values()
    assert len(cost.program.steps) <= 2 * levels + 10
    assert cost.evaluate({"n": 1}) >= min(MANY // PARTS, 2**levels)
