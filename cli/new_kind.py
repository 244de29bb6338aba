"""`headway new-kind`: a task kind that works, and its test, to begin from."""

import importlib.util
import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer

DEFAULT_KINDS = Path("kinds")
MUTATIONS = frozenset(
    {
        "cancel_task",
        "cancel_tasks",
        "create_item",
        "create_items",
        "delete_item",
        "discard_dead_letter",
        "import_items",
        "process_data",
        "resend_dead_letter",
        "retry_task",
        "retry_tasks",
        "submit_task",
        "submit_tasks",
        "update_item",
    }
)
"""What the API has already; the command line knows it by the API alone."""
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 60
KIND = Template('''"""The kind $camel."""

from pydantic import BaseModel, ConfigDict, Field

from jobs.kinds import TaskContext, kind


class ${pascal}Input(BaseModel):
    """What the task works on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(description="The text to work on.")


class ${pascal}Result(BaseModel):
    """What comes of it."""

    length: int = Field(description="How many characters there are.")


@kind(timeout_s=60, max_attempts=3)
def $name(ctx: TaskContext, input: ${pascal}Input) -> ${pascal}Result:
    """Say in one line what it does: the API, the command and the forms show it."""
    ctx.progress(len(input.text), len(input.text))
    return ${pascal}Result(length=len(input.text))
''')
TEST = Template('''"""What $camel promises."""

from $name import $name

from jobs.harness import run_kind


def test_${name}_tells_how_far_it_is_and_succeeds() -> None:
    run = run_kind($name, {"text": "hello"})

    run.assert_events("RUNNING 1", "progress 5/5", "SUCCEEDED")
    assert run.result == {"length": 5}
''')


def new_kind(
    name: Annotated[str, typer.Argument(help="In snake_case, such as count_words: the mutation is countWords.")],
    into: Annotated[Path, typer.Option(help="The folder to write to.")] = DEFAULT_KINDS,
) -> None:
    """Write a kind of your own and its test. `headway up --reload` serves it, and again whenever you save it."""
    if reason := why_not(name):
        raise typer.BadParameter(reason, param_hint="NAME")
    files = {into / f"{name}.py": KIND, into / f"test_{name}.py": TEST}
    if taken := next((path for path in files if path.exists()), None):
        raise typer.BadParameter(f"{taken} is there already and is not overwritten", param_hint="NAME")
    words = [word.capitalize() for word in name.split("_")]
    pascal = "".join(words)
    names = {"name": name, "pascal": pascal, "camel": pascal[0].lower() + pascal[1:]}
    try:
        into.mkdir(parents=True, exist_ok=True)
        for path, template in files.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(template.substitute(names))
            typer.echo(path)
    except OSError as exc:
        typer.echo(f"headway: {exc.filename} can't be written: {exc.strerror}", err=True)
        raise typer.Exit(1) from exc


def why_not(name: str) -> str:
    """Return why a kind can't have this name, "" if it can."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return f"expected snake_case of at most {LONGEST_NAME} characters, such as count_words, got {name!r}"
    if name.startswith("test_") or name == "conftest":
        return f"{name!r} is the name of a test"
    if name in MUTATIONS:
        return f"{name!r} is a mutation of Headway's own"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return f"{name!r} is a word of Python"
    if importlib.util.find_spec(name) is not None:
        return f"there is a Python module {name!r} already, which a kind of this name would hide"
    return ""
