"""The mutation exportItems, whose arguments are its input's fields."""

import pytest

from core.documents import Task
from tests.integration.gateway_schema import conftest as services
from tests.integration.gateway_schema.asking import Gateway

settings = services.settings
open_gateway = services.open_gateway
gateway = services.gateway
SUBMIT = """
mutation ($filter: ItemFilter, $options: TaskOptions) {
  exportItems(filter: $filter, format: NDJSON, options: $options) {
    id kind input { format filter { namePrefix nameContains metadata { path value } createdFrom } } result { url }
  }
}
"""


async def test_filter_and_format_are_stored_as_the_input(gateway: Gateway) -> None:
    conditions = [{"path": "a.b", "value": "x"}, {"path": "c", "value": [1, {"d": True}]}]
    given = {"namePrefix": "P", "metadata": conditions, "createdFrom": "2026-01-31T12:00:00+01:00"}
    task = (await gateway.get(SUBMIT, filter=given, options={"idempotencyKey": "k"}))["exportItems"]
    shown = {**given, "nameContains": None, "createdFrom": task["input"]["filter"]["createdFrom"]}
    assert (task["kind"], task["input"]) == ("exportItems", {"format": "NDJSON", "filter": shown})
    assert task["input"]["filter"]["createdFrom"].startswith("2026-01-31T11:00:00")
    assert (await gateway.get(SUBMIT, filter=given, options={"idempotencyKey": "k"}))["exportItems"] == task


async def test_without_arguments_all_items_are_meant_in_csv(gateway: Gateway) -> None:
    task = (await gateway.get("mutation { exportItems { input { format filter { namePrefix } } } }"))["exportItems"]
    assert task["input"] == {"format": "CSV", "filter": None}


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"namePrefix": "x" * 201}, "filter.namePrefix"),
        ({"nameContains": "\0"}, "filter.nameContains"),
        ({"metadata": [{"path": "a", "value": 1}, {"path": "a.$b", "value": 1}]}, "filter.metadata.1.path"),
        ({"metadata": [{"path": "a", "value": 1}] * 11}, "filter.metadata"),
    ],
)
async def test_filter_that_can_not_be_asked_is_refused_at_submit(
    gateway: Gateway, conditions: dict[str, object], field: str
) -> None:
    answer = await gateway.ask(SUBMIT, filter=conditions)
    assert (answer.code, answer.errors[0]["extensions"]["field"]) == ("BAD_USER_INPUT", field)
    generic = 'mutation ($input: JSON!) { submitTask(kind: "exportItems", input: $input) { id } }'
    answer = await gateway.ask(generic, input={"filter": conditions})
    assert (answer.code, answer.errors[0]["extensions"]["field"]) == ("BAD_USER_INPUT", f"input.{field}")
    assert await Task.count() == 0
