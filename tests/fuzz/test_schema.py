"""Documents that the schema allows, made by schemathesis for every root field, with values of every kind."""

from collections.abc import Callable
from typing import Any

import graphql
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from tests.attacks.target import Target
from tests.fuzz.asking import WAIT_S
from tests.fuzz.conftest import bounded
from tests.fuzz.verdict import judge_response

Values = st.SearchStrategy[graphql.ValueNode]
make_string: Callable[[str], graphql.ValueNode] = nodes.String
make_int: Callable[[int], graphql.ValueNode] = nodes.Int
strings: Values = st.text(max_size=20).map(make_string)
numbers: Values = st.integers(-(2**70), 2**70).map(make_int)
lists: Values = st.lists(strings | numbers, max_size=3).map(lambda values: graphql.ListValueNode(values=tuple(values)))
SCALARS: dict[str, Values] = {
    "JSON": strings | numbers | lists,
    "BigInt": numbers,
    "DateTime": strings | st.datetimes().map(lambda moment: make_string(f"{moment.isoformat()}Z")),
}


@pytest.fixture(scope="module")
def cases(fuzzed: Target) -> st.SearchStrategy[Any]:
    """Operations of every query and mutation field."""
    for name, values in SCALARS.items():
        schemathesis.graphql.scalar(name, values)
    schema = schemathesis.graphql.from_url(f"{fuzzed.url}/graphql")
    found = list(schema.get_all_operations())
    assert all(isinstance(one, Ok) for one in found)
    return st.one_of([one.ok().as_strategy() for one in found if isinstance(one, Ok)])


@bounded(200)
@given(data=st.data())
def test_any_valid_document_is_answered_well(cases: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(cases)
    answer = case.call(timeout=WAIT_S)
    assert answer.status_code < 500, answer.text
    judge_response(answer.content)
