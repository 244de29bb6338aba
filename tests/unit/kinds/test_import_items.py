"""The kind importItems: what its input takes, and the ids it derives."""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from core.ids import new_id
from jobs.kinds import load_kinds
from jobs.kinds.import_items import ImportItemsInput
from jobs.upserts import item_id


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({"format": "CSV", "content": ""}, "content", "got nothing"),
        ({"format": "NDJSON", "content": " \n\t\n"}, "content", "got nothing"),
        ({"format": "CSV", "content": "\ufeff"}, "content", "got nothing"),
        ({"format": "NDJSON", "content": "x" * 20_000_000}, "content", "1,048,576 bytes"),
        ({"format": "NDJSON", "content": "é" * 524_289}, "content", "1,048,576 bytes"),
        ({"format": "NDJSON", "content": "\ud800"}, "content", "Unicode"),
        ({"format": "XML", "content": "<a/>"}, "format", "'CSV' or 'NDJSON'"),
        ({"format": "CSV", "content": "a,b\n1,2\n"}, "content", "column 'name'"),
        ({"format": "CSV", "content": "name,a,a\n1,2,3\n"}, "content", "once"),
        ({"format": "CSV", "content": "name,a.b\n1,2\n"}, "content", "no dot"),
        ({"format": "CSV", "content": "name,\n1,2\n"}, "content", "1 to 100 characters"),
        ({"format": "CSV", "content": "name,$x\n1,2\n"}, "content", r"not starting with \$"),
        ({"format": "CSV", "content": "name,a\n1,2\n", "key_field": "iata"}, "key_field", "'name', 'a'"),
        ({"format": "NDJSON", "content": "{}", "key_field": "a.b"}, "key_field", "no dot"),
        ({"format": "NDJSON", "content": "{}", "key_field": ""}, "key_field", "1 to 100 characters"),
        ({"format": "NDJSON", "content": "{}", "keyfield": "a"}, "keyfield", "not permitted"),
        ({"format": "CSV"}, "content_id", "one of content and contentId"),
        ({"format": "CSV", "content": "name\n", "content_id": str(uuid4())}, "content_id", "one of content"),
        ({"format": "CSV", "content_id": "x"}, "content_id", "UUID"),
    ],
)
def test_bad_input_is_refused_at_submit_and_its_field_named(values: dict[str, Any], field: str, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected) as caught:
        ImportItemsInput.model_validate(values)
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_key_is_the_name_unless_told() -> None:
    assert ImportItemsInput.model_validate({"format": "CSV", "content": "name\nx\n"}).key_field == "name"


def test_item_ids_are_version_7_and_sort_as_in_the_file() -> None:
    task_id = new_id()
    ids = [item_id(task_id, line) for line in (2, 3, 500, 2**20 - 1, 2**20, 8_000_000)]
    assert ids == sorted(ids)
    assert {(ident.version, ident.variant) for ident in ids} == {(7, "specified in RFC 4122")}
    assert {ident.int >> 80 for ident in ids} == {task_id.int >> 80}


def test_item_ids_repeat_for_a_task_and_differ_between_tasks_of_one_millisecond() -> None:
    one, other = new_id(), new_id()
    if one.int >> 80 != other.int >> 80:
        other = type(one)(int=one.int >> 80 << 80 | other.int & (1 << 80) - 1)
    assert item_id(one, 7) == item_id(one, 7)
    assert item_id(one, 7) != item_id(other, 7)


def test_ids_derive_from_any_uuid() -> None:
    assert item_id(uuid4(), 1).version == 7


def test_contract_is_declared_and_every_field_described() -> None:
    declared = load_kinds()["importItems"]
    assert not declared.is_cpu_bound
    models = (declared.input_model, declared.result_model)
    assert all(field.description for model in models for field in model.model_fields.values())
    assert set(declared.result_model.model_fields) == {"inserted", "updated", "rejected", "rejected_total"}
    assert "later" in declared.description
