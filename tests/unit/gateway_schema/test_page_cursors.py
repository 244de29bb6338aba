"""Cursors name a place in one order and nothing else."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadUserInput
from gateway.schema.items import ORDERS as ITEM_ORDERS
from gateway.schema.paging import ID, Key, Order, moment_key, text_key
from gateway.schema.tasks import ORDERS as TASK_ORDERS

NOW = datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC)
STORED = {"_id": UUID(int=7), "name": "Ärger-\u0000\U0001f600", "updated_at": NOW}


def encode(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("order", [*ITEM_ORDERS.values(), *TASK_ORDERS.values()], ids=lambda order: order.name)
def test_a_cursor_leads_back_to_the_values_of_its_document(order: Order) -> None:
    condition = order.after(order.cursor_of(STORED))
    beyond = "$gt" if order.direction > 0 else "$lt"
    if len(order.keys) == 1:
        assert condition == {"_id": {beyond: STORED["_id"]}}
        return
    field = order.keys[0].field
    assert condition == {
        field: {f"{beyond}e": STORED[field]},
        "$or": [{field: {beyond: STORED[field]}}, {field: STORED[field], "_id": {beyond: STORED["_id"]}}],
    }


@given(st.uuids(), st.datetimes(datetime(1970, 1, 1), datetime(3000, 1, 1)))  # noqa: DTZ001  # They are made aware below.
def test_moments_survive_to_the_millisecond(ident: UUID, moment: datetime) -> None:
    aware = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    order = ITEM_ORDERS["UPDATED_ASC"]
    condition = order.after(order.cursor_of({"_id": ident, "updated_at": aware}))
    assert condition["updated_at"] == {"$gte": aware}


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        "2-17",
        "A" * 3_000,
        encode("7"),
        encode("[]"),
        encode("{}"),
        encode('["NAME_ASC"]'),
        encode('["NAME_ASC","a"]'),
        encode('["NAME_ASC","a","b"]'),
        encode('["NAME_ASC",1,"00000000-0000-0000-0000-000000000007"]'),
        encode('["NAME_ASC",{"$gt":""},"00000000-0000-0000-0000-000000000007"]'),
        encode('["NAME_ASC","a","00000000-0000-0000-0000-000000000007",1]'),
        encode('["NAME_DESC","a","00000000-0000-0000-0000-000000000007"]'),
        encode('[["NAME_ASC"],"a","00000000-0000-0000-0000-000000000007"]'),
        ITEM_ORDERS["NAME_DESC"].cursor_of(STORED),
        ITEM_ORDERS["UPDATED_ASC"].cursor_of(STORED),
        ITEM_ORDERS["NAME_ASC"].cursor_of(STORED)[:-1],
    ],
)
def test_a_cursor_that_this_order_did_not_give_is_refused(cursor: str) -> None:
    with pytest.raises(BadUserInput, match=r"^after: expected a cursor that an earlier page of the same order gave"):
        ITEM_ORDERS["NAME_ASC"].after(cursor)


@pytest.mark.parametrize("value", [10**15, -(10**15), 1.5, True, "1", None])
def test_a_moment_out_of_range_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="expected milliseconds"):
        moment_key("updated_at").read(value)


def test_a_moment_before_1970_can_be_a_place() -> None:
    key = moment_key("updated_at")
    earlier = datetime(1960, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1)
    assert key.read(key.write(earlier)) == earlier


def test_longest_name_fits_into_a_cursor() -> None:
    order = ITEM_ORDERS["NAME_ASC"]
    assert order.after(order.cursor_of({"_id": UUID(int=1), "name": "\U0001f600" * 200}))


def test_three_keys_make_three_ways_on() -> None:
    order = Order("X", (text_key("a"), Key("b", int, int), ID), 1)
    ident = UUID(int=3)
    assert order.after(order.cursor_of({"a": "x", "b": 2, "_id": ident}))["$or"] == [
        {"a": {"$gt": "x"}},
        {"a": "x", "b": {"$gt": 2}},
        {"a": "x", "b": 2, "_id": {"$gt": ident}},
    ]
