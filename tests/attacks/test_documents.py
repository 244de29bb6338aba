"""Attacks by what a request says: documents that grow, variables that nest, bodies that are not what they seem."""

import asyncio
import gzip
from typing import Any

import orjson
import pytest

from tests.attacks.attackers import codes, connected, post, post_all
from tests.attacks.target import FULL, Target, attacked

TIMES = 200 if FULL else 20


def bomb(levels: int) -> str:
    """Return fragments each of which spreads the next twice."""
    spreads = " ".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(levels))
    return f"{{ ...f0 }} {spreads} fragment f{levels} on Query {{ __typename }}"


def nested(levels: int) -> str:
    """Return a list in a list in a list."""
    return "[" * levels + "]" * levels


INTROSPECTION = "{ __schema " + "{ types { fields { type " * 5 + "{ name }" + " } } }" * 5 + " }"
DOCUMENTS: dict[str, Any] = {
    "aliases": "{" + " ".join(f"a{n}: __typename" for n in range(1_500)) + "}",
    "aliases beyond the tokens": "{" + " ".join(f"a{n}: health {{ status }}" for n in range(20_000)) + "}",
    "depth": "{ node(id: 1) " + "{ ... on Node " * 300 + "{ id }" + "}" * 300 + "}",
    "depth beyond the parser": "{a" * 5_000 + "}" * 5_000,
    "fragments": bomb(25),
    "fragments in a circle": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    "directives": "{ __typename " + "@skip(if: false) " * 400 + "}",
    "directives that nobody knows": "{ __typename " + "@x " * 900 + "}",
    "introspection": INTROSPECTION,
    "lists in lists": f"{{ tasks(filter: {{ kinds: {nested(900)} }}) {{ totalCount }} }}",
    "fields that clash": "{" + " ".join("tasks { totalCount }" for _ in range(400)) + "}",
    "operations": " ".join(f"query q{n} {{ __typename }}" for n in range(390)),
    "variables that are declared": "query(" + " ".join(f"$v{n}: Int" for n in range(450)) + ") { __typename }",
    "a long name": "{ " + "x" * 900_000 + " }",
    "a long string": '{ task(id: "' + "x" * 900_000 + '") { id } }',
    "block strings": '{ task(id: """' + "\n " * 200_000 + '""") { id } }',
    "comments": "#" * 900_000 + "\n{ __typename }",
    "commas": "," * 900_000 + "{ __typename }",
}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_document_stalls_nobody(target: Target, name: str) -> None:
    async with attacked(target):
        await post(target, {"query": DOCUMENTS[name]}, times=TIMES)
        assert set(target.statuses) == {400}


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_documents_that_are_all_different_stall_nobody(target: Target, name: str) -> None:
    async with attacked(target):
        bodies = [orjson.dumps({"query": f"{DOCUMENTS[name]} #{number}"}) for number in range(TIMES)]
        await post_all(target, bodies)
        assert set(target.statuses) == {400}


VARIABLES: dict[str, bytes] = {
    "deep JSON": b'{"query":"{ __typename }","variables":' + b'{"x":' * 200_000 + b"0" + b"}" * 200_000 + b"}",
    "deep lists": b'{"query":"{ __typename }","variables":{"x":' + b"[" * 500_000 + b"]" * 500_000 + b"}}",
    "wide JSON": b'{"query":"{ __typename }","variables":{"x":[' + b"0," * 500_000 + b"0]}}",
    "keys": b'{"query":"{ __typename }","variables":{' + b",".join(b'"k%d":0' % n for n in range(60_000)) + b"}}",
    "large numbers": b'{"query":"{ __typename }","variables":{"x":' + b"9" * 1_000_000 + b"}}",
    "exponents": b'{"query":"{ __typename }","variables":{"x":1e' + b"9" * 1_000_000 + b"}}",
    "surrogates": b'{"query":"{ __typename }","variables":{"x":"\\ud800"}}',
    "a batch": orjson.dumps([{"query": "{ __typename }"}] * 20_000),
    "nothing": b"",
    "not UTF-8": b'{"query":"\xff\xfe"}',
    "NUL": b'{"query":"{ __typename }\\u0000"}',
}


@pytest.mark.parametrize("name", VARIABLES)
async def test_body_stalls_nobody(target: Target, name: str) -> None:
    async with attacked(target):
        await post(target, VARIABLES[name], times=TIMES)
        assert set(target.statuses) == {400}


async def test_value_of_many_nodes_for_an_operation_stalls_nobody(target: Target) -> None:
    query = 'mutation ($x: JSON!) { submitTask(kind: "processData", input: $x) { id } }'
    async with attacked(target):
        for value in ([[0] * 100] * 190, {f"k{n}": n for n in range(15_000)}, "x" * 1_000_000):
            answers = await post(target, {"query": query, "variables": {"x": value}}, times=TIMES // 4)
            assert codes(answers) == {"BAD_USER_INPUT"}


async def test_body_that_is_too_large_is_refused(target: Target) -> None:
    async with attacked(target):
        answers = await post(target, b'{"query":"' + b"x" * 20_000_000, times=4)
        assert codes(answers) == {"PAYLOAD_TOO_LARGE"}


async def test_body_without_end_is_cut_off(target: Target) -> None:
    async with attacked(target), connected(target) as raw:
        raw.send(
            b"POST /graphql HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        for _ in range(700):
            raw.send(chunk)
            if raw.writer.is_closing() or raw.reader.at_eof():
                break
            await asyncio.sleep(0)
        try:
            assert await raw.read_status() == 413
        except ConnectionError:
            return  # It was cut off while we were sending.


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip", "x-gzip"])
async def test_compressed_body_is_not_unpacked(target: Target, encoding: str) -> None:
    async with attacked(target):
        packed = gzip.compress(b'{"query":"' + b" " * 100_000_000 + b'{ __typename }"}')
        answers = await post(target, packed, {"content-encoding": encoding}, times=4)
        assert codes(answers) == {"UNSUPPORTED_MEDIA_TYPE"}


async def test_large_inputs_under_many_names_are_no_large_answer(target: Target) -> None:
    submit = 'mutation ($x: JSON!) { submitTask(kind: "importItems", input: $x) { id } }'
    inputs = [{"content": "name\n" + "x" * 1_000_000, "format": "CSV"}] * (60 if FULL else 20)
    names = " ".join(f"a{number}: inputJson" for number in range(8))
    queries = (
        f"{{ tasks(first: 100) {{ nodes {{ {names} }} }} }}",
        f"{{ tasks(first: 15) {{ nodes {{ {names} }} }} }}",
        "{ " + " ".join(f"t{number}: tasks(first: 10) {{ nodes {{ inputJson }} }}" for number in range(8)) + " }",
    )
    for value in inputs:
        answers = await post(target, {"query": submit, "variables": {"x": value}})
        assert codes(answers) == set()
    async with attacked(target):
        memory = target.memory
        for query in queries:
            answers = await post(target, {"query": query}, times=4)
            assert codes(answers) == {"RESPONSE_TOO_LARGE"}
        assert target.memory - memory < 512 * 1024**2
        answers = await post(target, {"query": "{ tasks(first: 10) { nodes { inputJson } } }"})
        assert codes(answers) == set()
