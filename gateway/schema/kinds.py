"""Kinds: what each installed kind adds to the schema, and the query that lists them."""

import inspect
import types
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import MISSING, dataclass
from typing import Annotated, Any, Optional

import strawberry
from pydantic import BaseModel
from strawberry import UNSET
from strawberry.types.field import StrawberryField

from core import item_filter
from core.errors import BadUserInput
from gateway.guard.directives import CHANGE_WEIGHT, LARGE_WEIGHT, Cost, ListSize
from gateway.schema.fields import ContextInfo, mutation, query
from gateway.schema.generated import GeneratedTypes, describe_model, to_public
from gateway.schema.items import ItemFilter, MetadataEquals
from gateway.schema.node import task_type_name
from gateway.schema.options import OPTIONS_HELP, TaskOptions
from gateway.schema.scalars import JSON
from gateway.schema.task_view import TaskView
from gateway.schema.tasks import TaskType
from gateway.shapes import camel_case, shape_of
from jobs.kinds import Kind

USUAL_KINDS = 20
OWN_INPUTS: Mapping[type[BaseModel], Any] = {
    item_filter.ItemFilter: ItemFilter,
    item_filter.MetadataEquals: MetadataEquals,
}
"""Models that a kind's input may hold, for which clients know an input type already."""


@dataclass(frozen=True)
class KindView:
    """An installed kind under the names of the schema."""

    kind: Kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)

    @property
    def input_type(self) -> str:
        return self.kind.input_model.__name__

    @property
    def result_type(self) -> str:
        return self.kind.result_model.__name__

    @property
    def task_type(self) -> str:
        return task_type_name(self.kind.name)

    @property
    def input_schema(self) -> dict[str, Any]:
        schema = self.kind.input_model.model_json_schema(by_alias=False)
        for part in (schema, *schema.get("$defs", {}).values()):
            if "properties" in part:
                part["properties"] = {camel_case(name): value for name, value in part["properties"].items()}
                part["required"] = [camel_case(name) for name in part.get("required", [])]
        return schema


@strawberry.type(description="A kind of task that is installed here.")
class TaskKind:
    """Its source is a KindView."""

    name: str = strawberry.field(description="What a task's `kind` says, and the name of its mutation.")
    description: str = strawberry.field(description="What its tasks do.")
    input_type: str = strawberry.field(description="The name of its input's type in this schema.")
    result_type: str = strawberry.field(description="The name of the result's type in this schema.")
    task_type: str = strawberry.field(description="The name of its tasks' type in this schema.")
    input_schema: JSON = strawberry.field(
        description="The input as JSON Schema (2020-12), for forms.", directives=[Cost(weight=LARGE_WEIGHT)]
    )
    timeout_s: float = strawberry.field(description="Seconds that an attempt may take by default.")
    max_attempts: int = strawberry.field(description="Attempts that may fail by default.")
    is_cpu_bound: bool = strawberry.field(description="Whether it runs in a process of its own.")


@strawberry.type
class KindQuery:
    """The root that lists kinds."""

    @query(list[TaskKind], "The kinds of tasks that are installed, by name.", ListSize(assumed_size=USUAL_KINDS))
    def task_kinds(self, info: ContextInfo) -> list[KindView]:
        kinds = info.context.services.kinds
        return [KindView(kinds[name]) for name in sorted(kinds)]


async def submit(info: ContextInfo, kind: Kind, value: Any, options: TaskOptions | None) -> TaskView:
    """Submit a task for whoever asks; `value` is its input as JSON under GraphQL names."""
    context = info.context
    parsed = (options or TaskOptions()).parsed()
    task = await context.services.submitter.submit(
        kind, value, parsed, owner=context.owner, correlation_id=context.correlation_id
    )
    return TaskView(task, context.services.relay.delivery)


@strawberry.type
class SubmitMutation:
    """The mutation that submits a task of any kind."""

    @mutation(
        TaskType,
        description="Submit a task of any installed kind; the answer is durable when it comes. An unknown kind is "
        "BAD_USER_INPUT, and the error names those that are installed.",
    )
    async def submit_task(
        self,
        info: ContextInfo,
        kind: Annotated[str, strawberry.argument(description="A kind's name, as `taskKinds` lists them.")],
        input: Annotated[
            JSON, strawberry.argument(description="Its input: the same fields as its own mutation takes, as JSON.")
        ],
        options: Annotated[TaskOptions | None, strawberry.argument(description=OPTIONS_HELP)] = UNSET,
    ) -> TaskView:
        kinds = info.context.services.kinds
        if kind not in kinds:
            raise BadUserInput("kind", "one of the installed kinds " + ", ".join(sorted(kinds)), got=kind)
        return await submit(info, kinds[kind], input, options)


@dataclass(frozen=True)
class KindTypes:
    """What the kinds add to a schema: a class with their mutations, their tasks' types, and their inputs' types."""

    mutation: type | None
    task_types: tuple[type, ...]
    input_types: tuple[type, ...]


def build_kind_types(kinds: Mapping[str, Kind]) -> KindTypes:
    """Make the types of all kinds. Raises TypeError where a model or its name can't become a GraphQL type."""
    made = GeneratedTypes(OWN_INPUTS)
    mutations: dict[str, Any] = {}
    task_types: list[type] = []
    input_types: list[type] = []
    for kind in kinds.values():
        input_type = made.input(kind.input_model, kind.input_model.__name__)
        task_type = _task_type(kind, made)
        task_types.append(task_type)
        input_types.append(input_type)
        mutations[kind.function.__name__] = _mutation(kind, input_type, task_type)
    if not mutations:
        return KindTypes(None, (), ())
    mutation = types.new_class("KindMutation", (), {}, lambda body: body.update(mutations))
    return KindTypes(strawberry.type(mutation), tuple(task_types), tuple(input_types))


def _task_type(kind: Kind, made: GeneratedTypes) -> type:
    view = made.view(kind.input_model, f"{kind.input_model.__name__}View")
    result = made.result(kind.result_model)
    fields = {
        "input": strawberry.field(
            resolver=_read_input,
            graphql_type=view,
            description=f"Its input. {describe_model(kind.input_model)}",
            directives=[Cost(weight=LARGE_WEIGHT)],
        ),
        "result": strawberry.field(
            resolver=_read_result,
            graphql_type=Optional[result],  # noqa: UP045  # It is only known at run time.
            description=f"Its result, null until SUCCEEDED. {describe_model(kind.result_model)}",
            directives=[Cost(weight=LARGE_WEIGHT)],
        ),
    }
    name = task_type_name(kind.name)
    cls = types.new_class(name, (TaskType,), {}, lambda body: body.update(fields))
    return strawberry.type(cls, name=name, description=f"A task of the kind `{kind.name}`. {kind.description}".strip())


def _read_input(root: TaskView) -> Any:
    return root.document.input


def _read_result(root: TaskView) -> Any:
    return root.document.result


def _mutation(kind: Kind, input_type: Any, task_type: type) -> Any:
    described = kind.description or f"Submit a task of the kind `{kind.name}`."
    return strawberry.mutation(
        resolver=_taking_fields(kind, input_type) if kind.spreads_input else _taking_input(kind, input_type),
        name=kind.name,
        graphql_type=task_type,
        description=f"{described}\n\nSubmits a task; the answer is durable when it comes.",
        directives=[Cost(weight=CHANGE_WEIGHT)],
    )


Resolver = Callable[..., Awaitable[TaskView]]
OPTIONS = Annotated[TaskOptions | None, strawberry.argument(description=OPTIONS_HELP)]


def _taking_input(kind: Kind, input_type: Any) -> Resolver:
    shape = shape_of(kind.input_model)

    async def resolve(info: ContextInfo, input: Any, options: Any = UNSET) -> TaskView:
        return await submit(info, kind, to_public(shape, input), options)

    resolve.__annotations__["input"] = Annotated[input_type, strawberry.argument(description="What the task works on.")]
    resolve.__annotations__["options"] = OPTIONS
    return resolve


def _taking_fields(kind: Kind, input_type: Any) -> Resolver:
    """Return a resolver whose arguments are the input's fields. Raises TypeError where one is called as another is."""
    shape = shape_of(kind.input_model)
    if taken := {"info", "options", "root", "self"} & shape.by_name.keys():
        raise TypeError(f"{kind.name}: a field of an input that is spread can't be called {min(taken)}")

    async def resolve(info: ContextInfo, options: Any = UNSET, **given: Any) -> TaskView:
        try:
            return await submit(info, kind, to_public(shape, input_type(**given)), options)
        except BadUserInput as exc:
            raise BadUserInput(exc.field.removeprefix("input."), exc.expected) from exc

    arguments = [
        _argument(field, input_type.__annotations__[field.python_name])
        for field in input_type.__strawberry_definition__.fields
    ]
    fixed = [
        inspect.Parameter("info", inspect.Parameter.KEYWORD_ONLY, annotation=ContextInfo),
        inspect.Parameter("options", inspect.Parameter.KEYWORD_ONLY, annotation=OPTIONS, default=UNSET),
    ]
    resolve.__signature__ = inspect.Signature([fixed[0], *arguments, fixed[1]])  # type: ignore[attr-defined]
    return resolve


def _argument(field: StrawberryField, annotation: Any) -> inspect.Parameter:
    """Return an input's field as an argument of a resolver."""
    described = strawberry.argument(name=field.graphql_name, description=field.description)
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    annotation = Annotated[annotation, described]
    return inspect.Parameter(field.python_name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
