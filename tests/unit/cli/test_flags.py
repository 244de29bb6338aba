"""Flags made from a kind's JSON Schema read what the shell gives into what the API takes."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cli.flags import flag_of, parse_flags
from core.states import TaskStatus


class Nested(BaseModel):
    depth: int


class EveryType(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    some_text: str = Field(description="100% text.")
    count: int = 3
    ratio: float | None = None
    is_bold: bool = False
    status: TaskStatus | None = None
    tags: list[str] = []
    nested: Nested | None = None


KIND: dict[str, Any] = {"name": "everyType", "description": "All.", "inputSchema": EveryType.model_json_schema()}


def test_flags_of_every_type_are_read_as_the_schema_says() -> None:
    arguments = [
        *("--some-text", "x y", "--count", "-5", "--ratio", "0.5", "--is-bold"),
        *("--status", "FAILED", "--tags", "a", "--tags", "b", "--nested", '{"depth": 2}'),
    ]

    assert parse_flags(KIND, arguments) == {
        "someText": "x y",
        "count": -5,
        "ratio": 0.5,
        "isBold": True,
        "status": "FAILED",
        "tags": ["a", "b"],
        "nested": {"depth": 2},
    }


def test_what_is_not_given_is_left_to_the_kind() -> None:
    assert parse_flags(KIND, ["--some-text="]) == {"someText": ""}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--some-text"),
        (["--some-text", "x", "--count", "many"], "invalid int value: 'many'"),
        (["--some-text", "x", "--status", "LOST"], "invalid choice: 'LOST'"),
        (["--some-text", "x", "--nested", "{"], "expected JSON"),
        (["--some-text", "x", "--colour", "red"], "unrecognized arguments: --colour red"),
        (["--some", "x"], "--some-text"),
    ],
)
def test_wrong_flag_is_wrong_usage_and_named(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_flags(KIND, arguments)

    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_help_lists_the_flags_of_the_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_flags(KIND, ["--help"])

    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "usage: headway submit everyType" in said
    assert "100% text." in said
    assert "(default: 3)" in said


def test_flag_is_the_field_in_kebab_case() -> None:
    assert [flag_of(name) for name in ("data", "keyField", "snake_name")] == ["--data", "--key-field", "--snake-name"]


@pytest.mark.parametrize("name", ["url", "input", "options", "watch", "help", "flags"])
def test_a_field_takes_no_option_of_submit_for_itself(name: str) -> None:
    assert flag_of(name) == f"--field-{name}"
