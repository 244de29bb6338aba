"""Writes the code that renders a resolved value."""

from collections.abc import Hashable
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any, TypeGuard

from graphql import (
    GraphQLAbstractType,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    get_nullable_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.types.field import StrawberryField

from gateway.plans.code import Code
from gateway.plans.leaves import is_moment, leaf_expression
from gateway.plans.places import DEFINITION, Classes, Ledger, Place, Render, repeat, unchanging_arguments
from gateway.plans.scope import Scope, Unplannable, name_of
from gateway.schema.columns import Columns, Views
from gateway.schema.scalars import read_attribute


@dataclass(frozen=True)
class Written:
    """The names of the functions that render an object, a dict that is stored JSON, and a document with columns."""

    of_object: str
    of_dict: str
    of_document: str = ""

    def call(self, variable: str) -> str:
        """Return the code that renders a variable's value."""
        if self.of_dict == self.of_object:
            return f"{self.of_object}({variable}, x)"
        return f"({self.of_dict} if type({variable}) is dict else {self.of_object})({variable}, x)"


@dataclass(frozen=True)
class Reading:
    """The code that reads a field's value: from an object `s`, from a dict by `get`, and from a document `d`.

    What no column of a document says is read from its view, which is `s` there; the text is empty then. `by_name` says
    that `read_attribute` would read it.
    """

    of_object: str
    of_dict: str
    of_document: str = ""
    by_name: bool = False


class Writer:
    """Writes one renderer, with a function for each object that is selected in it.

    `path` is where in the answer its value stands, if resolvers below it may wait: not in lists, whose entries are
    rendered by the same code.
    """

    def __init__(self, scope: Scope, ledger: Ledger, path: tuple[str, ...] | None = None) -> None:
        self._scope = scope
        self._ledger = ledger
        self._path = path
        self._moment: str | None = None
        """The variable of the moment that was written last of an object."""
        self._code = Code()

    def render(self, type_: GraphQLOutputType, place: Place) -> Render:
        """Return what renders a value of a type at a place. Raises Unplannable."""
        expression = self._complete("v", type_, place, by_name=False)
        self._code.add(f"def render(v, x): return {expression}")
        render: Render = self._code.compile("render")
        return render

    def _info(self, place: Place) -> str:
        return f"x[{self._ledger.add(place)}]"

    def _complete(self, variable: str, type_: GraphQLOutputType, place: Place, *, by_name: bool) -> str:
        """Return the code that makes of a variable's value what the response holds."""
        nullable = not is_non_null_type(type_)
        inner: Any = get_nullable_type(type_)
        if is_leaf_type(inner):
            return self._write_leaf(variable, inner, nullable=nullable, read=by_name)
        if is_list_type(inner):
            code = f"{self._write_list(inner.of_type, place)}({variable}, x)"
        else:
            code = self._write(inner, place).call(variable)
        return f"(None if {variable} is None else {code})" if nullable else code

    def _write_leaf(self, variable: str, type_: GraphQLLeafType, *, nullable: bool, read: bool) -> str:
        earlier = self._moment
        if is_moment(type_):
            self._moment = variable
        return leaf_expression(type_, variable, nullable=nullable, read=read, code=self._code, earlier=earlier)

    def _write_list(self, type_: GraphQLOutputType, place: Place) -> str:
        """Write the function that renders a list, from its documents if its entries have columns; return its name."""
        above, self._path = self._path, None
        moment, self._moment = self._moment, None
        entry_type: Any = get_nullable_type(type_)
        columns = _declared(entry_type, "columns")
        if columns is None:
            entries, of_documents = self._complete("i", type_, place, by_name=False), []
        else:
            written = self._write(entry_type, place, columns)
            entries = written.call("i")
            entries = entries if is_non_null_type(type_) else f"(None if i is None else {entries})"
            of_documents = [
                f"  if v.view is {self._code.constant(columns.view)}:",
                f"   try: return [{written.of_document}(i, x) for i in v.documents]",
                "   except KeyError: pass",
            ]
        self._path, self._moment = above, moment
        function = self._code.name("l")
        self._code.add(f"def {function}(v, x):", f" if type(v) is {self._code.constant(Views)}:", *of_documents)
        self._code.add("  v = list(v)", " elif type(v) is not list: give_up()", f" return [{entries} for i in v]")
        return function

    def _write(self, type_: Any, place: Place, columns: Columns | None = None) -> Written:
        if is_object_type(type_):
            return self._write_object(type_, place, columns, checks=self._checks(type_, place))
        if is_abstract_type(type_):
            return self._write_abstract(type_, place, columns)
        raise Unplannable("type")

    def _write_object(
        self, type_: GraphQLObjectType, place: Place, columns: Columns | None, checks: list[str]
    ) -> Written:
        readings, answer = self._write_fields(type_, place, columns)
        of_object = self._code.name("o")
        self._code.add(f"def {of_object}(s, x):", *checks)
        self._code.add(*(f" {variable} = {reading.of_object}" for variable, reading in readings), *answer)
        of_dict = of_object  # What says of itself what it is, is no stored JSON.
        if type_.is_type_of is None:
            of_dict = self._code.name("g")
            self._code.add(f"def {of_dict}(s, x):", " get = s.get")
            self._code.add(*(f" {variable} = {reading.of_dict}" for variable, reading in readings), *answer)
        if columns is None:
            return Written(of_object, of_dict)
        of_document = self._code.name("d")
        by_view = not all(reading.of_document for _, reading in readings)
        view = [f" s = {self._code.constant(columns.view)}(d)"] if by_view else []
        reads = [f" {variable} = {reading.of_document or reading.of_object}" for variable, reading in readings]
        self._code.add(f"def {of_document}(d, x):", *view, *reads, *answer)
        return Written(of_object, of_dict, of_document)

    def _write_fields(
        self, type_: GraphQLObjectType, place: Place, columns: Columns | None
    ) -> tuple[list[tuple[str, Reading]], list[str]]:
        """Return by which variables the fields of an object are read, and the lines that make the answer of these."""
        selected = self._scope.fields_below(type_, place.details)
        above, self._moment = self._moment, None
        self._ledger.repeats |= repeat(selected)
        readings: list[tuple[str, Reading]] = []
        values, waits = [], []
        for key, details in selected.items():
            self._ledger.spend()
            name = name_of(details)
            below = type_.name if name == "__typename" else Place(type_.fields[name], type_, details)
            if self._path is not None and _is_awaited(below):
                values.append(f"{self._code.constant(key)}: None")
                waits.append(self._write_wait(key, below))
                continue
            variable = self._code.name("v")
            reading, value = self._write_field(variable, key, below, columns)
            readings.append((variable, reading))
            values.append(f"{self._code.constant(key)}: {value}")
        self._moment = above
        made = f"{{{', '.join(values)}}}"
        return readings, [f" r = {made}", *waits, " return r"] if waits else [f" return {made}"]

    def _write_field(self, variable: str, key: str, place: Place | str, columns: Columns | None) -> tuple[Reading, str]:
        """Return how a field, or a type's name, is read, and the code that makes of it what the response holds."""
        if isinstance(place, str):
            typename = self._code.constant(place)
            return Reading(typename, typename, typename), variable
        reading = self._read(place, columns)
        return reading, self._complete_below(key, variable, place, by_name=reading.by_name)

    def _complete_below(self, key: str, variable: str, place: Place, *, by_name: bool) -> str:
        above = self._path
        self._path = None if above is None else (*above, key)
        code = self._complete(variable, place.field.type, place, by_name=by_name)
        self._path = above
        return code

    def _write_wait(self, key: str, place: Place) -> str:
        """Return the line by which a field whose resolver waits is put off until the rest is rendered."""
        assert self._path is not None
        path = self._code.constant((*self._path, key))
        moment, self._moment = self._moment, None
        value = self._complete_below(key, "v", place, by_name=False)
        self._moment = moment
        complete = self._code.name("w")
        self._code.add(f"def {complete}(v, x): return {value}")
        return f" x.wait(r, {path}, s, {self._ledger.add(place)}, {complete})"

    def _checks(self, type_: GraphQLObjectType, place: Place, *, resolved: bool = False) -> list[str]:
        """Return the lines by which an object of another type is given up; `resolved` if its type was asked for."""
        classes = Classes(_declared(type_, "sources") or ())
        checks = [f" if type(s) not in {self._code.constant(classes.seen)}: {self._code.constant(classes.admit)}(s)"]
        asked = classes.sources or (resolved and _declared(type_, "is_as_resolved"))
        if type_.is_type_of is not None and not asked:
            checks.append(f" if {self._code.constant(type_.is_type_of)}(s, {self._info(place)}) is not True: give_up()")
        return checks

    def _read(self, place: Place, columns: Columns | None) -> Reading:
        definition = place.field.extensions.get(DEFINITION)
        if not isinstance(definition, StrawberryField) or definition.is_async or place.field.resolve is None:
            raise Unplannable("resolver")
        name = definition.python_name
        plain = definition.is_basic_field and definition.default_resolver is read_attribute
        if plain and name.isidentifier() and not iskeyword(name):
            attribute = f"s.{name}"
            column = self._column(name, place, columns) if columns is not None else ""
            return Reading(attribute, f"get({name!r})", column, by_name=True)
        if definition.extensions:
            raise Unplannable("resolver")
        arguments = "".join(f", **{self._code.constant(given)}" for given in [unchanging_arguments(place)] if given)
        call = f"{self._code.constant(place.field.resolve)}(s, {self._info(place)}{arguments})"
        return Reading(call, call)

    def _column(self, name: str, place: Place, columns: Columns) -> str:
        """Return the code that reads a value from a document, an empty text where only the view knows it."""
        if name in columns.made:
            return f"{self._code.constant(columns.made[name])}(d)"
        if name not in columns.keys:
            return ""
        value = f"d[{columns.keys[name]!r}]"
        type_ = get_nullable_type(place.field.type)
        if isinstance(type_, CustomGraphQLEnumType):
            members: list[Any] = list(type_.wrapped_cls)
            return f"{self._code.constant({member.value: member for member in members})}[{value}]"
        return value

    def _write_abstract(self, type_: GraphQLAbstractType, place: Place, columns: Columns | None) -> Written:
        if type_.resolve_type is None or (columns is not None and columns.type_of is None):
            raise Unplannable("type")
        of_values, of_documents = [], []
        written: dict[Hashable, Written] = {}
        for possible in self._scope.schema.get_possible_types(type_):
            alike = self._alike(possible, place)
            if alike not in written:
                checks = self._checks(possible, place, resolved=True)
                written[alike] = self._write_object(possible, place, columns, checks)
            name = self._code.constant(possible.name)
            of_values.append(f"{name}: lambda v, x: {written[alike].call('v')}")
            of_documents.append(f"{name}: {written[alike].of_document}")
        table, function, of_document = (self._code.name(prefix) for prefix in "tad")
        definition = type_.extensions.get(DEFINITION)
        by_source = getattr(getattr(definition, "origin", None), "is_told_by_source", False)
        info = "None" if by_source else self._info(place)
        resolve = f"{self._code.constant(type_.resolve_type)}(v, {info}, {self._code.constant(type_)})"
        self._code.add(f"{table} = {{{', '.join(of_values)}}}")
        self._code.add(f"def {function}(v, x): return {table}[{resolve}](v, x)")
        if columns is not None and len(written) == 1:
            [of_all] = written.values()
            return Written(function, function, of_all.of_document)
        if columns is not None:
            documents = self._code.name("t")
            resolve = f"{self._code.constant(columns.type_of)}(d, {self._info(place)})"
            self._code.add(f"{documents} = {{{', '.join(of_documents)}}}")
            self._code.add(f"def {of_document}(d, x): return {documents}[{resolve}](d, x)")
        return Written(function, function, of_document)

    def _alike(self, type_: GraphQLObjectType, place: Place) -> Hashable:
        """Return what types have in common whose objects are rendered by the same code."""
        if not _declared(type_, "is_as_resolved"):
            return type_.name
        read: list[Hashable] = []
        for key, details in self._scope.fields_below(type_, place.details).items():
            field = type_.fields.get(name_of(details))
            definition = field.extensions.get(DEFINITION) if field is not None else None
            if field is None or not isinstance(definition, StrawberryField) or not definition.is_basic_field:
                return type_.name
            read.append((key, definition.python_name, str(field.type), *(id(one.node) for one in details)))
        return tuple(read)


def _is_awaited(place: Place | str) -> TypeGuard[Place]:
    if isinstance(place, str) or place.field.resolve is None:
        return False
    definition = place.field.extensions.get(DEFINITION)
    return isinstance(definition, StrawberryField) and definition.is_async


def _declared(type_: Any, name: str) -> Any:
    """Return what the class of an object type or an interface declares for plans, None if it doesn't."""
    definition = type_.extensions.get(DEFINITION) if is_object_type(type_) or is_abstract_type(type_) else None
    return getattr(getattr(definition, "origin", None), name, None)
