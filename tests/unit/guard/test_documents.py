"""Reading documents: each limit with its code, what is remembered, what can be switched off, and attacks."""

from typing import Any

import pytest
from graphql import get_introspection_query

from gateway.guard.documents import Document, Documents, Rejected
from gateway.schema import build_schema
from gateway.transports.limits import EdgeLimits
from jobs.kinds import load_kinds
from tests.unit.guard.attacks import ATTACKS, COMPLEX, count_calls

SCHEMA = build_schema(load_kinds([]))._schema
MOST_CALLS = 600_000
"""A quarter of a second on a slow machine; without the guard some of these documents make tens of millions."""


def documents(**limits: Any) -> Documents:
    """Return an empty reader with some limits of its own."""
    return Documents(SCHEMA, EdgeLimits(**limits))


def refusal(reader: Documents, text: str) -> Any:
    """Return the errors of a document that must be refused."""
    with pytest.raises(Rejected) as rejected:
        reader.read(text)
    return rejected.value.errors


@pytest.mark.parametrize(("text", "code"), ATTACKS.values(), ids=ATTACKS)
def test_attack_is_refused_with_little_work_and_again_with_none(text: str, code: str) -> None:
    reader = documents()
    errors: list[Any] = []
    assert count_calls(lambda: errors.extend(refusal(reader, text))) < MOST_CALLS
    assert {error["extensions"]["code"] for error in errors} == {code}
    assert count_calls(lambda: refusal(reader, text)) < 100


@pytest.mark.parametrize(
    ("setting", "limit", "at", "beyond"),
    [
        ("max_depth", "depth", "{items{nodes{id}}}", "{items{edges{node{id}}}}"),
        (
            "max_aliases",
            "aliases",
            "{health{a:status b:status c:status}}",
            "{health{a:status b:status c:status d:status}}",
        ),
        ("max_root_fields", "rootFields", "{a b c}", "{a ...{b} c health{status}}"),
        ("max_directives", "directives", "{a @b @c ...@d{e}}", "{a @b @c ...@d{e @f}}"),
        ("max_document_chars", "characters", "{a}", "{ab}"),
    ],
)
def test_limit_holds_to_the_number(setting: str, limit: str, at: str, beyond: str) -> None:
    reader = documents(**{setting: 3})
    try:
        reader.read(at)
    except Rejected as rejected:
        assert rejected.errors[0]["extensions"]["code"] != COMPLEX  # noqa: PT017  # It may be refused for other reasons.
    [error] = refusal(reader, beyond)
    assert error["extensions"] == {"code": COMPLEX, "limit": limit, "allowed": 3, "actual": 4}
    assert "at most 3" in error["message"]


def test_tokens_are_limited() -> None:
    reader = documents(max_document_tokens=4)
    assert isinstance(reader.read("{ a: __typename }".replace("a: ", "")), Document)
    [error] = refusal(reader, "{ a: __typename }")
    assert error["extensions"]["code"] == COMPLEX
    assert "4 tokens" in error["message"]


@pytest.mark.parametrize(
    "text",
    [
        get_introspection_query(
            descriptions=True,
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        ),
        "{ items(first: 100) { nodes { id name description metadata createdAt updatedAt } } }",
        "query A { health { status } } query B { items { totalCount } }",
    ],
)
def test_usual_documents_pass(text: str) -> None:
    assert isinstance(documents().read(text), Document)


def test_documents_are_read_once() -> None:
    reader = documents()
    assert reader.read("{ __typename }") is reader.read("{ __typename }")


def test_documents_are_kept_by_the_memory_they_take() -> None:
    reader = documents(document_cache_bytes=200_000)
    texts = ["{ " + f"a{number}: " + "__typename}" for number in range(200)]
    for text in texts:
        reader.read(text)
    assert 10 < len(reader._known) < 100
    assert reader._known.size <= 150_000


def test_refusals_are_kept_apart_and_evict_no_document() -> None:
    reader = documents(document_cache_bytes=200_000)
    kept = reader.read("{ __typename }")
    for number in range(200):
        refusal(reader, f"{{ nothing{number} }}")
    assert reader.read("{ __typename }") is kept
    assert len(reader._refused) < 50


def test_suggestions_can_be_switched_off() -> None:
    for text in ("{ itms { totalCount } }", "{ items(frst: 1) { totalCount } }", "query ($a: Itm) { __typename }"):
        assert "Did you mean" in str(refusal(documents(), text))
        assert "Did you mean" not in str(refusal(documents(suggestions=False), text))


@pytest.mark.parametrize("text", ["{ __schema { queryType { name } } }", '{ __type(name: "Item") { name } }'])
def test_introspection_can_be_switched_off(text: str) -> None:
    assert isinstance(documents().read(text), Document)
    assert refusal(documents(introspection=False), text)[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_typename_is_no_introspection() -> None:
    assert isinstance(documents(introspection=False).read("{ __typename }"), Document)
