"""A document's shape: what counts, what fragments add, and that measuring costs what the text is long."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import SelectionSetNode, parse

from gateway.guard.shape import MANY, DocumentShape, measure


def shape_of(text: str) -> DocumentShape:
    """Return the shape of a text."""
    return measure(parse(text))


def test_depth_counts_fields_and_not_fragments() -> None:
    assert shape_of("{ a { b { c } } }").depth == 3
    assert shape_of("{ a { ... { ... on B { c } } } }").depth == 2
    assert shape_of("{ a { ...F } } fragment F on A { b { ...G } } fragment G on B { c { d } }").depth == 4


def test_depth_is_that_of_the_deepest_operation() -> None:
    assert shape_of("query A { a } query B { a { b { c } } }").depth == 3


def test_introspection_adds_no_depth_but_its_aliases() -> None:
    text = "{ a { b } __schema { types { fields { x: name ...T } } } } fragment T on __Type { ofType { y: name } }"
    shape = shape_of(text)
    assert (shape.depth, shape.aliases) == (2, 2)


def test_aliases_count_as_often_as_their_fragment_is_spread() -> None:
    assert shape_of("{ a: x b: x c }").aliases == 2
    assert shape_of("{ a: x { ...F } b: x { ...F } } fragment F on X { c: y d: y }").aliases == 6


def test_root_fields_are_those_of_fragments_at_the_root_too() -> None:
    assert shape_of("{ a { b c d } ...F ... { e f } } fragment F on Q { g h { i } }").root_fields == 5


def test_directives_count_wherever_they_stand() -> None:
    text = """
    query ($v: Int @a) @b { x @c ...F @d ... @e { y @f @g } }
    fragment F on Q @h { z @i }
    """
    assert shape_of(text).directives == 9


def test_nesting_counts_braces_through_fragments() -> None:
    assert shape_of("{ ... { ... { ...F } } } fragment F on Q { ... { a } }").nesting == 5


def test_unknown_fragments_and_cycles_are_left_to_validation() -> None:
    assert shape_of("{ ...None a }").root_fields == 1
    cyclic = shape_of("{ ...F } fragment F on Q { a ...G } fragment G on Q { b ...F }")
    assert cyclic.root_fields == 2
    assert shape_of("{ ...F } fragment F on Q { a ...F }").depth == 1


def doubling(levels: int) -> str:
    """Return the fragment bomb: each fragment spreads the next one twice."""
    spreads = " ".join(f"fragment F{n} on Q{{...F{n + 1} ...F{n + 1}}}" for n in range(levels))
    return f"{{...F0}} {spreads} fragment F{levels} on Q{{a:x{{y}}}}"


def test_fragment_bomb_is_counted_in_full() -> None:
    shape = shape_of(doubling(15))
    assert (shape.aliases, shape.root_fields, shape.depth) == (2**15, 2**15, 2)
    assert shape_of(doubling(150)).aliases == MANY


def test_long_chain_of_fragments_needs_no_recursion() -> None:
    chain = " ".join(f"fragment F{n} on Q{{...F{n + 1}}}" for n in range(5_000))
    assert shape_of(f"{{...F0}} {chain} fragment F5000 on Q{{a}}").nesting == 5_002


class CountedSelections(tuple[Any, ...]):
    """Selections that count how often they are walked through."""

    walks = 0

    def __iter__(self) -> Iterator[Any]:
        CountedSelections.walks += 1
        return super().__iter__()


@pytest.mark.parametrize("levels", [5, 50, 200])
def test_each_selection_set_is_walked_once_whatever_it_expands_to(levels: int) -> None:
    document = parse(doubling(levels))
    sets = []

    def count(selection_set: SelectionSetNode) -> None:
        sets.append(selection_set)
        for node in selection_set.selections:
            inner = getattr(node, "selection_set", None)
            if inner:
                count(inner)
        object.__setattr__(selection_set, "selections", CountedSelections(selection_set.selections))  # It is frozen.

    for definition in document.definitions:
        count(definition.selection_set)  # type: ignore[attr-defined]  # Operations and fragments only.
    CountedSelections.walks = 0
    measure(document)
    assert CountedSelections.walks == len(sets) == levels + 3
