"""Submitting through the schema: checked, stored, and told before it is answered."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.documents import Task
from core.events import Cursor, StateChanged
from core.ids import parse_id
from core.states import Priority, TaskStatus
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.gateway_schema.conftest import OpenGateway
from tests.integration.gateway_schema.submits import DATA, PROCESS, SUBMIT, SlowPublisher


async def test_a_submit_is_stored_and_told_before_it_is_answered(gateway: Gateway) -> None:
    answer = (await gateway.get(PROCESS, input=DATA))["processData"]

    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    entry = {"status": "PENDING", "attempt": 0, "by": "gateway", "reason": None, "error": None, "cursor": "1-1"}
    assert answer == {
        "__typename": "ProcessDataTask",
        "id": str(stored.id),
        "kind": "processData",
        "status": "PENDING",
        "cursor": "1-1",
        "delivery": "LIVE",
        "attempt": 0,
        "maxAttempts": 3,
        "priority": "NORMAL",
        "timeoutS": 600.0,
        "createdAt": answer["createdAt"],
        "runAt": None,
        "deadline": None,
        "publishedAt": None,
        "input": {"data": "hello", "iterations": 100},
        "result": None,
        "inputJson": {"data": "hello", "iterations": 100},
        "resultJson": None,
        "error": None,
        "progress": {"current": 0, "total": None, "percent": None, "message": None},
        "timeline": [entry | {"at": answer["createdAt"]}],
    }
    assert (stored.status, stored.cursor, stored.owner) == (TaskStatus.PENDING, Cursor(1, 1), "local")
    assert stored.correlation_id is not None
    assert await gateway.services.streams.read(stored.id, Cursor(0, 0)) == [
        (Cursor(1, 1), StateChanged(at=stored.created_at, attempt=0, status=TaskStatus.PENDING, by="gateway"))
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"delayS": 3600.5},
        {"runAt": "2100-01-01T00:00:00Z"},
    ],
)
async def test_a_task_for_later_is_scheduled_and_not_published(
    open_gateway: OpenGateway, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.submit.MAX_AHEAD_S", 1e10)
    publisher = SlowPublisher()
    gateway = await open_gateway(publisher, None)
    answer = (await gateway.get(PROCESS, input=DATA, options=options))["processData"]

    assert (answer["status"], [entry["status"] for entry in answer["timeline"]]) == ("SCHEDULED", ["SCHEDULED"])
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    due = stored.created_at + timedelta(seconds=3600.5) if "delayS" in options else datetime(2100, 1, 1, tzinfo=UTC)
    assert stored.run_at == due
    assert answer["runAt"] == due.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ((cursor, event),) = await gateway.services.streams.read(stored.id, Cursor(0, 0))
    assert isinstance(event, StateChanged)
    assert (cursor, event.status) == (Cursor(1, 1), TaskStatus.SCHEDULED)
    assert publisher.asked == []


async def test_options_are_stored(gateway: Gateway) -> None:
    options = {
        "priority": "LOW",
        "runAt": "2001-01-01T00:00:00Z",
        "deadline": "2100-01-01T00:00:00Z",
        "timeoutS": 1.5,
        "maxAttempts": 7,
        "idempotencyKey": "k",
    }
    answer = (await gateway.get(PROCESS, input=DATA, options=options))["processData"]
    stored = await Task.get(parse_id(answer["id"]))
    assert stored is not None
    assert (stored.status, stored.run_at, stored.priority) == (TaskStatus.PENDING, None, Priority.LOW)
    assert (stored.timeout_s, stored.max_attempts, stored.idempotency_key) == (1.5, 7, "k")
    assert stored.deadline == datetime(2100, 1, 1, tzinfo=UTC)


async def test_concurrent_submits_with_one_key_make_one_task(gateway: Gateway) -> None:
    options = {"idempotencyKey": "once"}
    answers = await asyncio.gather(*(gateway.get(PROCESS, input=DATA, options=options) for _ in range(20)))
    assert len({answer["processData"]["id"] for answer in answers}) == 1
    assert await Task.count() == 1
    other = await gateway.of("someone else").get(PROCESS, input=DATA, options=options)
    assert other["processData"]["id"] != answers[0]["processData"]["id"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("processData", {"data": "hello", "iterations": 101}),
        ("processData", {"data": "hullo"}),
        ("importItems", {"format": "CSV", "content": "name\nx"}),
    ],
)
async def test_a_key_that_stands_for_something_else_is_a_conflict(
    gateway: Gateway, kind: str, value: dict[str, Any]
) -> None:
    options = {"idempotencyKey": "k"}
    first = (await gateway.get(PROCESS, input=DATA, options=options))["processData"]
    answer = await gateway.ask(SUBMIT, kind=kind, input=value, options=options)
    assert answer.code == "CONFLICT"
    assert answer.errors[0]["extensions"]["field"] == "options.idempotencyKey"
    assert first["id"] in answer.errors[0]["message"]
    assert await Task.count() == 1


async def test_any_kind_can_be_submitted_as_json(gateway: Gateway) -> None:
    answer = (await gateway.get(SUBMIT, kind="processData", input={"data": "x", "iterations": 3}))["submitTask"]
    assert answer == {
        "__typename": "ProcessDataTask",
        "id": answer["id"],
        "status": "PENDING",
        "input": {"iterations": 3},
    }


@pytest.mark.parametrize(
    ("kind", "value", "field", "expected"),
    [
        ("processData", {"data": "x", "iterations": 0}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {"data": "x", "iterations": 10**9}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {"data": "x", "iterations": 10**12}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {"data": "x", "iterations": "5"}, "input.iterations", "a whole number, 1 to 10,000"),
        ("processData", {}, "input.data", "text"),
        ("processData", {"data": "x" * 70_000}, "input.data", "at most 65,536 bytes in UTF-8"),
        ("processData", [1], "input", "an object"),
        ("importItems", {"format": "XML", "content": "x"}, "input.format", "one of CSV, NDJSON"),
        ("importItems", {"format": "CSV", "content": " "}, "input.content", None),
        ("importItems", {"format": "CSV", "content": "name\n" + "x" * 20_000_000}, "input", None),
        ("importItems", {"format": "CSV", "content": "name\nx", "keyField": "iata"}, "input.keyField", None),
        ("nothing", {}, "kind", "one of the installed kinds exportItems, importItems, paintPicture, processData"),
        ("", {}, "kind", "one of the installed kinds exportItems, importItems, paintPicture, processData"),
    ],
)
async def test_a_wrong_submit_names_the_field_and_stores_nothing(
    gateway: Gateway, kind: str, value: Any, field: str, expected: str | None
) -> None:
    answer = await gateway.ask(SUBMIT, kind=kind, input=value)
    assert answer.code == "BAD_USER_INPUT"
    extensions = answer.errors[0]["extensions"]
    assert extensions["field"] == field
    assert expected is None or extensions["expected"] == expected
    assert len(answer.errors[0]["message"]) < 400
    assert await Task.count() == 0


async def test_a_wrong_option_names_the_field_and_stores_nothing(gateway: Gateway) -> None:
    answer = await gateway.ask(PROCESS, input=DATA, options={"delayS": -1})
    assert answer.errors[0]["extensions"]["field"] == "options.delayS"
    assert await Task.count() == 0


async def test_every_form_of_field_survives_from_the_mutation_to_the_typed_answer(gateway: Gateway) -> None:
    query = """
    mutation ($input: PaintInput!) { paintPicture(input: $input) {
      inputJson input { title colour style dpi copies serial corners { xPos yPos } tags due price ref extra anything }
    } }
    """
    value = {
        "title": "T",
        "colour": "DARK_BLUE",
        "style": "INK",
        "dpi": 300,
        "copies": 2,
        "serial": 2**40,
        "corners": [{"xPos": 1.5}, {"xPos": 2, "yPos": 3}],
        "tags": ["a"],
        "due": "2026-01-31T12:00:00Z",
        "price": "2.50",
        "ref": "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e",
        "extra": {"a_b": [1, {"c": None}]},
        "anything": 7,
    }
    answer = (await gateway.get(query, input=value))["paintPicture"]
    shown = value | {"corners": [{"xPos": 1.5, "yPos": 0.0}, {"xPos": 2.0, "yPos": 3.0}]}
    assert answer["input"] == shown
    assert answer["inputJson"] == shown
    defaults = (await gateway.get(query, input={"title": "T", "corners": None, "due": None}))["paintPicture"]["input"]
    assert defaults == {
        "title": "T",
        "colour": "RED",
        "style": "OIL",
        "dpi": 72,
        "copies": 1,
        "serial": 0,
        "corners": [],
        "tags": [],
        "due": None,
        "price": "1.5",
        "ref": None,
        "extra": {},
        "anything": None,
    }
