"""Items through the schema, on a real database."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.documents import Item
from tests.integration.gateway_schema.asking import Gateway

COUNT = 2_345
PAGE = """
query ($first: Int, $after: String, $filter: ItemFilter, $order: ItemOrder) {
  items(first: $first, after: $after, filter: $filter, order: $order) {
    totalCount nodes { id } edges { cursor node { id name updatedAt } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
CREATE = """
mutation ($input: CreateItemInput!) {
  createItem(input: $input) { id name description metadata createdAt updatedAt }
}
"""
UPDATE = """
mutation ($id: ID!, $input: UpdateItemInput!) {
  updateItem(id: $id, input: $input) { id name description metadata createdAt updatedAt }
}
"""


def nested(levels: int) -> dict[str, Any]:
    """Return an object of that many levels."""
    return {"n": nested(levels - 1)} if levels > 1 else {}


def many_items() -> list[Item]:
    """Return items of which many share a name or a moment of change, so that ties fall on page borders."""
    chance = random.Random(7)
    start = utc_now()
    return [
        Item(
            name=chance.choice(["Zürich", "Aa", "aa", "Ä", "Ab", "名古屋", "B", f"n{index:04d}"]),
            metadata={"place": {"row": index % 7}},
            updated_at=start + timedelta(milliseconds=chance.randrange(40)),
        )
        for index in range(COUNT)
    ]


async def all_pages(gateway: Gateway, **variables: Any) -> list[dict[str, Any]]:
    """Follow the pages to the end; return their nodes."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await gateway.get(PAGE, after=after, **variables))["items"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert [edge["node"]["id"] for edge in page["edges"]] == [node["id"] for node in page["nodes"]]
        found += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
        assert after == page["edges"][-1]["cursor"]


@pytest.mark.timeout(300)
async def test_every_order_pages_through_all_items_without_gap_or_duplicate(gateway: Gateway) -> None:
    items = many_items()
    await Item.insert_many(items)
    keys: dict[str, Any] = {
        "OLDEST_FIRST": lambda item: item.id.bytes,
        "NAME_ASC": lambda item: (item.name.encode(), item.id.bytes),
        "UPDATED_ASC": lambda item: (item.updated_at, item.id.bytes),
    }
    opposites = {"OLDEST_FIRST": "NEWEST_FIRST", "NAME_ASC": "NAME_DESC", "UPDATED_ASC": "UPDATED_DESC"}
    for order, key in keys.items():
        expected = [str(item.id) for item in sorted(items, key=key)]
        assert [node["id"] for node in await all_pages(gateway, first=97, order=order)] == expected
        found = await all_pages(gateway, first=100, order=opposites[order])
        assert [node["id"] for node in found] == expected[::-1]


async def test_items_made_while_paging_neither_shift_nor_repeat_the_rest(gateway: Gateway) -> None:
    await Item.insert_many([Item(name=f"n{index}") for index in range(10)])
    first = (await gateway.get(PAGE, first=4))["items"]
    await Item.insert_many([Item(name=f"later{index}") for index in range(3)])
    rest = (await gateway.get(PAGE, first=100, after=first["pageInfo"]["endCursor"]))["items"]
    assert [edge["node"]["name"] for edge in first["edges"] + rest["edges"]] == [
        f"n{index}" for index in range(9, -1, -1)
    ]


async def test_an_empty_list_is_a_page_too(gateway: Gateway) -> None:
    page = (await gateway.get(PAGE))["items"]
    assert page == {
        "totalCount": 0,
        "nodes": [],
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


@pytest.mark.parametrize("first", [0, -1, 101, 1_000_000])
async def test_a_page_size_out_of_range_is_refused(gateway: Gateway, first: int) -> None:
    answer = await gateway.ask(PAGE, first=first)
    (error,) = answer.errors
    assert error["message"] == f"first: expected 1 to 100, got {first}"
    assert error["extensions"] | {"correlationId": ""} == {
        "code": "BAD_USER_INPUT",
        "field": "first",
        "expected": "1 to 100",
        "correlationId": "",
    }


async def test_a_null_page_size_is_the_usual_one(gateway: Gateway) -> None:
    await Item.insert_many([Item(name="x") for _ in range(25)])
    page = (await gateway.get("{ items(first: null, after: null, filter: null, order: null) { nodes { id } } }"))[
        "items"
    ]
    assert len(page["nodes"]) == 20


async def test_a_cursor_of_another_order_is_refused(gateway: Gateway) -> None:
    await Item.insert_many([Item(name="x") for _ in range(3)])
    cursor = (await gateway.get(PAGE, first=1, order="NAME_ASC"))["items"]["pageInfo"]["endCursor"]
    for after in (cursor, "rubbish", ""):
        answer = await gateway.ask(PAGE, order="NAME_DESC", after=after)
        assert answer.code == "BAD_USER_INPUT"
        assert answer.errors[0]["extensions"]["field"] == "after"


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ({"namePrefix": "A"}, ["A.b", "A.bc", "Axb"]),
        ({"namePrefix": "A.b"}, ["A.b", "A.bc"]),
        ({"namePrefix": "^A"}, []),
        ({"namePrefix": ""}, ["A.b", "A.bc", "Axb", "a (b) [c] *", "été\n2"]),
        ({"nameContains": "b"}, ["A.b", "A.bc", "Axb", "a (b) [c] *"]),
        ({"nameContains": "(b) [c] *"}, ["a (b) [c] *"]),
        ({"nameContains": ".*"}, []),
        ({"nameContains": "té\n"}, ["été\n2"]),
        ({"namePrefix": "A", "nameContains": "c"}, ["A.bc"]),
        ({"metadata": [{"path": "place.city", "value": "Bern"}]}, ["A.b"]),
        ({"metadata": [{"path": "n", "value": 1}]}, ["A.b", "Axb"]),
        ({"metadata": [{"path": "n", "value": 1}, {"path": "place.city", "value": "Bern"}]}, ["A.b"]),
        ({"metadata": [{"path": "n", "value": {"$gt": 0}}]}, None),
        ({"metadata": [{"path": "tags", "value": "red"}]}, ["A.bc"]),
        ({"metadata": [{"path": "place", "value": {"city": "Bern"}}]}, ["A.b"]),
        ({"createdFrom": "2100-01-01T00:00:00Z"}, []),
        ({"createdTo": "2000-01-01T00:00:00Z"}, []),
        (
            {"createdFrom": "2000-01-01T00:00:00Z", "createdTo": "2100-01-01T00:00:00+01:00", "namePrefix": "Ax"},
            ["Axb"],
        ),
        ({"metadata": [{"path": "$where", "value": 1}]}, None),
        ({"metadata": [{"path": "a.$gt", "value": 1}]}, None),
        ({"metadata": [{"path": "a..b", "value": 1}]}, None),
        ({"metadata": [{"path": "", "value": 1}]}, None),
        ({"metadata": [{"path": "a.", "value": 1}]}, None),
        ({"metadata": [{"path": "a\0", "value": 1}]}, None),
        ({"metadata": [{"path": "a.b.c.d.e.f.g.h.i", "value": 1}]}, None),
        ({"metadata": [{"path": "a", "value": 1}] * 11}, None),
        ({"namePrefix": "x" * 201}, None),
        ({"nameContains": "\0"}, None),
    ],
)
async def test_a_filter_finds_what_it_says_or_is_refused(
    gateway: Gateway, condition: dict[str, Any], names: list[str] | None
) -> None:
    await Item.insert_many(
        [
            Item(name="A.b", metadata={"place": {"city": "Bern"}, "n": 1}),
            Item(name="A.bc", metadata={"tags": ["red", "blue"]}),
            Item(name="Axb", metadata={"n": 1.0}),
            Item(name="a (b) [c] *"),
            Item(name="été\n2"),
        ]
    )
    answer = await gateway.ask(PAGE, filter=condition, order="NAME_ASC")
    if names is None:
        assert answer.code == "BAD_USER_INPUT"
        assert answer.errors[0]["extensions"]["field"].startswith("filter.")
    else:
        assert [edge["node"]["name"] for edge in answer.data["items"]["edges"]] == names
        assert answer.data["items"]["totalCount"] == len(names)


async def test_filtered_pages_go_on_in_the_filter(gateway: Gateway) -> None:
    await Item.insert_many([Item(name=f"{'ab'[index % 2]}{index % 3}") for index in range(30)])
    found = await all_pages(gateway, first=4, order="NAME_ASC", filter={"namePrefix": "a"})
    assert [node["name"] for node in found] == sorted(f"a{index % 3}" for index in range(0, 30, 2))


async def test_an_item_can_be_made_read_changed_and_removed(gateway: Gateway) -> None:
    made = (await gateway.get(CREATE, input={"name": "Pen", "description": "Blue", "metadata": {"a": [1, None]}}))[
        "createItem"
    ]
    assert made | {"id": "", "createdAt": "", "updatedAt": ""} == {
        "id": "",
        "name": "Pen",
        "description": "Blue",
        "metadata": {"a": [1, None]},
        "createdAt": "",
        "updatedAt": "",
    }
    fields = "id name description metadata createdAt updatedAt"
    read = await gateway.get(f"query ($id: ID!) {{ item(id: $id) {{ {fields} }} }}", id=made["id"])
    assert read["item"] == made

    unchanged = (await gateway.get(UPDATE, id=made["id"], input={}))["updateItem"]
    assert unchanged == made
    changed = (await gateway.get(UPDATE, id=made["id"], input={"name": "Pencil", "description": None}))["updateItem"]
    assert (changed["name"], changed["description"], changed["metadata"]) == ("Pencil", None, made["metadata"])
    assert changed["createdAt"] == made["createdAt"]
    replaced = (await gateway.get(UPDATE, id=made["id"], input={"metadata": {"b": 2}}))["updateItem"]
    assert (replaced["name"], replaced["metadata"]) == ("Pencil", {"b": 2})
    assert replaced["updatedAt"] >= changed["updatedAt"] >= made["updatedAt"]

    remove = "mutation ($id: ID!) { deleteItem(id: $id) }"
    assert await gateway.get(remove, id=made["id"].upper()) == {"deleteItem": made["id"]}
    assert (await gateway.ask(remove, id=made["id"])).code == "NOT_FOUND"
    assert (await gateway.ask(UPDATE, id=made["id"], input={"name": "x"})).code == "NOT_FOUND"
    assert (await gateway.ask(UPDATE, id=made["id"], input={})).code == "NOT_FOUND"
    assert (await gateway.ask("query ($id: ID!) { item(id: $id) { id } }", id=made["id"])).code == "NOT_FOUND"


async def test_of_two_changes_at_once_each_is_answered_with_what_it_left(gateway: Gateway) -> None:
    made = (await gateway.get(CREATE, input={"name": "0", "description": "0"}))["createItem"]
    for number in map(str, range(1, 31)):
        inputs = ({"name": number}, {"description": number})
        answers = await asyncio.gather(*(gateway.get(UPDATE, id=made["id"], input=given) for given in inputs))
        one, other = ((answer["updateItem"]["name"], answer["updateItem"]["description"]) for answer in answers)
        before = str(int(number) - 1)
        assert (one, other) in [((number, before), (number, number)), ((number, number), (before, number))]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "x", "description": "x" * 10_001}, "description"),
        ({"name": "x", "metadata": []}, "metadata"),
        ({"name": "x", "metadata": "text"}, "metadata"),
        ({"name": "x", "metadata": {"$set": 1}}, "metadata"),
        ({"name": "x", "metadata": {"a.b": 1}}, "metadata"),
        ({"name": "x", "metadata": {"a": {"b\0": 1}}}, "metadata.a"),
        ({"name": "x", "metadata": {"a": 2**70}}, "metadata.a"),
        ({"name": "x", "metadata": {"a": "x" * 17_000}}, "metadata"),
        ({"name": "x", "metadata": nested(9)}, "metadata.n.n.n.n.n.n.n.n"),
    ],
)
async def test_an_item_that_breaks_a_rule_is_refused_and_nothing_is_stored(
    gateway: Gateway, value: dict[str, Any], field: str
) -> None:
    one = await gateway.ask(CREATE, input=value)
    assert one.code == "BAD_USER_INPUT"
    assert one.errors[0]["extensions"]["field"] == f"input.{field}"

    create_items = "mutation ($inputs: [CreateItemInput!]!) { createItems(inputs: $inputs) { id } }"
    many = await gateway.ask(create_items, inputs=[{"name": "good"}, value, {"name": "also good"}])
    assert many.errors[0]["extensions"]["field"] == f"inputs.1.{field}"
    assert await Item.count() == 0


@pytest.mark.parametrize("change", [{"name": None}, {"metadata": None}, {"name": ""}, {"metadata": {"$x": 1}}])
async def test_a_change_that_breaks_a_rule_leaves_the_item_alone(gateway: Gateway, change: dict[str, Any]) -> None:
    item = await Item(name="x", metadata={"a": 1}).insert()
    answer = await gateway.ask(UPDATE, id=str(item.id), input={"description": "new"} | change)
    assert answer.code == "BAD_USER_INPUT"
    assert answer.errors[0]["extensions"]["field"].startswith("input.")
    assert (await Item.get(item.id)) == item


async def test_a_thousand_items_can_be_made_at_once_and_not_one_more(gateway: Gateway) -> None:
    create_items = "mutation ($inputs: [CreateItemInput!]!) { createItems(inputs: $inputs) { id name } }"
    inputs = [{"name": f"n{index}"} for index in range(1_001)]
    for wrong in (inputs, []):
        answer = await gateway.ask(create_items, inputs=wrong)
        assert answer.errors[0]["extensions"]["field"] == "inputs"
    made = (await gateway.get(create_items, inputs=inputs[:1_000]))["createItems"]
    assert [item["name"] for item in made] == [f"n{index}" for index in range(1_000)]
    assert sorted(item["id"] for item in made) == [item["id"] for item in made]
    assert await Item.count() == 1_000


@pytest.mark.parametrize("ident", ["", "7", "x" * 36, "SXRlbTox"])
async def test_an_id_that_is_no_uuid_is_refused(gateway: Gateway, ident: str) -> None:
    for query in ("item(id: $id) { id }", "task(id: $id) { id }", "node(id: $id) { id }"):
        answer = await gateway.ask(f"query ($id: ID!) {{ {query} }}", id=ident)
        assert answer.code == "BAD_USER_INPUT"
        assert answer.errors[0]["extensions"]["field"] == "id"
