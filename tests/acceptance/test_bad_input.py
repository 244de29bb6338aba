"""Bad input of every sort: a clear GraphQL error with a stable code, and nothing stored."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from gql.transport.exceptions import TransportQueryError

from tests.acceptance.api import (
    IMPORT,
    PROCESS,
    execute,
    follow,
    http_session,
    post,
    submit,
    ws_session,
)
from tests.running_stack import RunningStack

UNKNOWN_ID = "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e"
COUNTS = "{ tasks { totalCount } items { totalCount } }"
CREATE = "mutation ($input: CreateItemInput!) { createItem(input: $input) { id } }"
CREATE_MANY = "mutation ($inputs: [CreateItemInput!]!) { createItems(inputs: $inputs) { id } }"
SUBMIT = "mutation ($kind: String!, $input: JSON!) { submitTask(kind: $kind, input: $input) { id } }"
INTERNALS = re.compile(r"Traceback|File \"|site-packages|\.py\b|0x[0-9a-f]{6,}|pydantic|Exception|mongodb://", re.I)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.fixture(autouse=True)
async def nothing_is_stored(stack: RunningStack) -> AsyncIterator[None]:
    """Compare how many tasks and items there are before and after the refusal."""
    before = await post(stack.url, COUNTS)
    yield
    assert await post(stack.url, COUNTS) == before


def check_refusal(response: dict[str, Any], code: str, *words: str) -> None:
    """Assert one error with this code whose message holds the words and shows nothing of the inside."""
    [error] = response["errors"]
    assert error["extensions"]["code"] == code, error
    for word in words:
        assert word in error["message"], error
    assert not INTERNALS.search(json.dumps(error, ensure_ascii=False)), error
    assert not response.get("data") or all(value is None for value in response["data"].values())


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({"data": "x", "iterations": 0}, "input.iterations", "1 to 10,000"),
        ({"data": "x", "iterations": -5}, "input.iterations", "1 to 10,000"),
        ({"data": "x", "iterations": 10**9}, "input.iterations", "1 to 10,000"),
        ({"data": "x" * 65_537}, "input.data", "65,536 bytes"),
    ],
)
async def test_process_data_out_of_range(
    stack: RunningStack, values: dict[str, Any], field: str, expected: str
) -> None:
    response = await post(stack.url, PROCESS, {"input": values})
    check_refusal(response, "BAD_USER_INPUT", field, expected)
    assert response["errors"][0]["extensions"]["field"] == field


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"data": "x", "iterations": "many"}, ("iterations", "Int")),
        ({"data": "x", "iterations": 1.5}, ("iterations", "Int")),
        ({"data": "x", "iterations": 10**12}, ("iterations", "Int")),
        ({"data": 5}, ("data", "String")),
        ({"data": None}, ("data", "String")),
        ({"iterations": 5}, ("required field 'data'",)),
        ({"data": "x", "surprise": 1}, ("surprise",)),
        ("x", ("ProcessDataInput",)),
        (None, ("ProcessDataInput",)),
    ],
)
async def test_variable_of_the_wrong_type(stack: RunningStack, values: Any, words: tuple[str, ...]) -> None:
    check_refusal(await post(stack.url, PROCESS, {"input": values}), "BAD_USER_INPUT", *words)


@pytest.mark.parametrize(
    "query",
    [
        "mutation { processData(input: {data: 5}) { id } }",
        'mutation { processData(input: {data: "x", iterations: "5"}) { id } }',
        "mutation { processData { id } }",
        "{ items(first: true) { nodes { id } } }",
        "{ nothing }",
        "{ items { nodes } }",
    ],
)
async def test_document_that_does_not_fit_the_schema(stack: RunningStack, query: str) -> None:
    response = await post(stack.url, query)
    check_refusal(response, "GRAPHQL_VALIDATION_FAILED")
    assert response["errors"][0]["locations"]
    assert "data" not in response


async def test_document_that_does_not_parse(stack: RunningStack) -> None:
    check_refusal(await post(stack.url, "mutation {"), "GRAPHQL_PARSE_FAILED", "Syntax Error")


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("nonsense", {}, ("kind", "importItems", "processData")),
        ("process_data", {"data": "x"}, ("kind",)),
        ("processData", {"data": "x", "iterations": "5"}, ("input.iterations", "1 to 10,000")),
        ("processData", {"data": "x", "iterations": 5.5}, ("input.iterations",)),
        ("processData", {"data": "x", "iterations": True}, ("input.iterations",)),
        ("processData", {"data": ["x"]}, ("input.data",)),
        ("processData", {"data": "x", "surprise": 1}, ("surprise",)),
        ("processData", {}, ("input.data",)),
        ("processData", "x", ("input",)),
        ("processData", nested(60), ("input",)),
        ("importItems", {"format": "XML", "content": "x"}, ("input.format", "CSV", "NDJSON")),
        ("importItems", {"format": "CSV", "content": "name\nx", "key_field": "name"}, ("key_field",)),
    ],
)
async def test_task_of_an_unknown_kind_or_with_input_of_the_wrong_shape(
    stack: RunningStack, kind: str, values: Any, words: tuple[str, ...]
) -> None:
    check_refusal(await post(stack.url, SUBMIT, {"kind": kind, "input": values}), "BAD_USER_INPUT", *words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": "CSV", "content": ""}, ("input.content", "text of a file")),
        ({"format": "NDJSON", "content": " \n\n"}, ("input.content", "text of a file")),
        ({"format": "CSV", "content": "iata,city\nX,Y\n"}, ("input.content", "column 'name'")),
        ({"format": "CSV", "content": "name,a,a\nX,1,2\n"}, ("input.content", "'a'")),
        ({"format": "CSV", "content": "name,a\nX,1\n", "keyField": "iata"}, ("input.keyField", "'name', 'a'")),
        ({"format": "NDJSON", "content": "{}", "keyField": "$where"}, ("input.keyField", "$")),
        ({"format": "PDF", "content": "x"}, ("format", "ImportFormat")),
    ],
)
async def test_import_that_makes_no_sense(stack: RunningStack, values: dict[str, Any], words: tuple[str, ...]) -> None:
    check_refusal(await post(stack.url, IMPORT, {"input": values}), "BAD_USER_INPUT", *words)


@pytest.mark.parametrize("size", [2_000_000, 20_000_000])
async def test_import_larger_than_a_body_may_be(stack: RunningStack, size: int) -> None:
    response = await post(stack.url, IMPORT, {"input": {"format": "CSV", "content": "name\n" + "x\n" * (size // 2)}})
    check_refusal(response, "PAYLOAD_TOO_LARGE", "body of at most")


async def test_client_that_listens_only_after_it_has_sent_all_hears_why(stack: RunningStack) -> None:
    body = b"x" * 20_000_000
    request = urllib.request.Request(f"{stack.url}/graphql", body, {"content-type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        await asyncio.to_thread(urllib.request.urlopen, request, timeout=30)
    assert caught.value.code == 413
    with caught.value as answer:
        check_refusal(json.loads(answer.read()), "PAYLOAD_TOO_LARGE", "body of at most")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("first: 1000000", ("first", "1 to 100")),
        ("first: 0", ("first", "1 to 100")),
        ("first: -1", ("first", "1 to 100")),
        ('after: "nonsense"', ("after", "cursor")),
        ('after: ""', ("after", "cursor")),
        ('after: "bm9uc2Vuc2U="', ("after", "cursor")),
    ],
)
@pytest.mark.parametrize("field", ["items", "tasks"])
async def test_page_that_cannot_be(stack: RunningStack, field: str, arguments: str, words: tuple[str, ...]) -> None:
    response = await post(stack.url, f"{{ {field}({arguments}) {{ nodes {{ id }} }} }}")
    check_refusal(response, "BAD_USER_INPUT", *words)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f'{{ task(id: "{UNKNOWN_ID}") {{ id }} }}', "NOT_FOUND"),
        (f'{{ item(id: "{UNKNOWN_ID}") {{ id }} }}', "NOT_FOUND"),
        (f'mutation {{ deleteItem(id: "{UNKNOWN_ID}") }}', "NOT_FOUND"),
        (f'mutation {{ updateItem(id: "{UNKNOWN_ID}", input: {{name: "x"}}) {{ id }} }}', "NOT_FOUND"),
        ('{ task(id: "nonsense") { id } }', "BAD_USER_INPUT"),
        ('{ item(id: "") { id } }', "BAD_USER_INPUT"),
        ('mutation { deleteItem(id: "1") }', "BAD_USER_INPUT"),
    ],
)
async def test_unknown_id_is_an_error(stack: RunningStack, query: str, code: str) -> None:
    check_refusal(await post(stack.url, query), code)


@pytest.mark.parametrize(("ident", "code"), [(UNKNOWN_ID, "NOT_FOUND"), ("nonsense", "BAD_USER_INPUT")])
async def test_following_an_unknown_task_is_an_error_and_the_socket_serves_on(
    stack: RunningStack, ident: str, code: str
) -> None:
    async with ws_session(stack.ws_url) as ws:
        with pytest.raises(TransportQueryError) as caught:
            await follow(ws, ident)
        check_refusal({"errors": caught.value.errors}, code)
        assert (await execute(ws, "{ health { status } }"))["health"]["status"] == "HEALTHY"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": ""}, ("input.name", "1 to 200")),
        ({"name": "x" * 201}, ("input.name", "1 to 200")),
        ({"name": "x", "metadata": [1]}, ("input.metadata", "object")),
        ({"name": "x", "metadata": nested(9)}, ("input.metadata", "8 levels")),
        ({"name": "x", "metadata": {"$where": 1}}, ("input.metadata", "$")),
        ({"name": "x", "metadata": {"a.b": 1}}, ("input.metadata", "dot")),
        ({"name": "x", "metadata": {"a": "x" * 17_000}}, ("input.metadata", "16,384 bytes")),
    ],
)
async def test_item_that_may_not_be(stack: RunningStack, values: dict[str, Any], words: tuple[str, ...]) -> None:
    check_refusal(await post(stack.url, CREATE, {"input": values}), "BAD_USER_INPUT", *words)


async def test_one_bad_item_of_many_keeps_all_from_being_made(stack: RunningStack) -> None:
    inputs = [{"name": "half"}, {"name": ""}, {"name": "written"}]
    check_refusal(await post(stack.url, CREATE_MANY, {"inputs": inputs}), "BAD_USER_INPUT", "1.name")


async def test_more_items_at_once_than_allowed(stack: RunningStack) -> None:
    inputs = [{"name": "x"}] * 1001
    check_refusal(await post(stack.url, CREATE_MANY, {"inputs": inputs}), "BAD_USER_INPUT", "inputs", "1,000")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "BAD_REQUEST"),
        (b"nonsense", 400, "BAD_REQUEST"),
        (b"[]", 400, "BAD_REQUEST"),
        (b'{"query": 5}', 400, "BAD_REQUEST"),
        (b'{"query": "{ health { status } }", "variables": []}', 400, "BAD_REQUEST"),
        (b'{"query": "\xff"}', 400, "BAD_REQUEST"),
        (b'{"query": ' + b"[" * 100_000, 400, "BAD_REQUEST"),
    ],
)
async def test_body_that_states_no_request(stack: RunningStack, body: bytes, status: int, code: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{stack.url}/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    check_refusal(answer.json(), code)


async def test_text_that_is_no_valid_unicode(stack: RunningStack) -> None:
    body = json.dumps({"query": PROCESS, "variables": {"input": {"data": "\ud800"}}}).encode()
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{stack.url}/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 400)
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] in ("BAD_USER_INPUT", "BAD_REQUEST")


class TestIdempotencyKeys:
    """These store one task on purpose, so they count for themselves."""

    @pytest.fixture(autouse=True)
    def nothing_is_stored(self) -> None:
        """Take the place of the module's fixture."""

    async def test_reused_key_is_a_conflict_with_other_input_and_the_same_task_with_the_same(
        self, stack: RunningStack
    ) -> None:
        async with http_session(stack.url) as http:
            options = {"idempotencyKey": "bad-input-once"}
            task_id = await submit(http, PROCESS, input={"data": "one", "iterations": 2}, options=options)
            before = await post(stack.url, COUNTS)
            for values in ({"data": "two", "iterations": 2}, {"data": "one", "iterations": 3}):
                response = await post(stack.url, PROCESS, {"input": values, "options": options})
                check_refusal(response, "CONFLICT", "idempotencyKey")
            other_kind = {"input": {"format": "CSV", "content": "name\nx\n"}, "options": options}
            check_refusal(await post(stack.url, IMPORT, other_kind), "CONFLICT", "idempotencyKey")
            again = await submit(http, PROCESS, input={"data": "one", "iterations": 2}, options=options)
            assert again == task_id
            assert await post(stack.url, COUNTS) == before

    @pytest.mark.parametrize("key", ["", "k" * 201])
    async def test_key_of_the_wrong_length(self, stack: RunningStack, key: str) -> None:
        before = await post(stack.url, COUNTS)
        variables = {"input": {"data": "x"}, "options": {"idempotencyKey": key}}
        check_refusal(await post(stack.url, PROCESS, variables), "BAD_USER_INPUT", "idempotencyKey", "200")
        assert await post(stack.url, COUNTS) == before
