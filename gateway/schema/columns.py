"""Lists of stored documents as views of them, and where in a document stands what a view would show.

A view is an object with a name for each field. To make one for every entry of a list, and to ask it for each value,
takes longer than to read the document; so a plan reads that where it can. Whoever else looks at the list sees views.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from graphql import GraphQLResolveInfo

D = TypeVar("D")
Stored = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Columns:
    """Where a view's values stand. One that a document lacks raises KeyError; then the view is asked.

    `keys` names the document's own values, those of enums as their stored values; `made` makes others of the document.
    `type_of` names the object type that an entry has, None where there is one only.
    """

    view: Callable[[Stored], Any]
    keys: Mapping[str, str]
    made: Mapping[str, Callable[[Stored], Any]] = field(default_factory=dict)
    type_of: Callable[[Stored, GraphQLResolveInfo[Any]], str] | None = None


class Views(Sequence[D], Generic[D]):
    """Stored documents, each shown by a view that is made when it is looked at."""

    __slots__ = ("documents", "view")

    def __init__(self, documents: list[Stored], view: Callable[[Stored], D]) -> None:
        self.documents = documents
        self.view = view

    def __len__(self) -> int:
        return len(self.documents)

    @overload
    def __getitem__(self, index: int) -> D: ...
    @overload
    def __getitem__(self, index: slice) -> "Views[D]": ...
    def __getitem__(self, index: int | slice) -> "D | Views[D]":
        if isinstance(index, slice):
            return Views(self.documents[index], self.view)
        return self.view(self.documents[index])

    def __iter__(self) -> Iterator[D]:
        return map(self.view, self.documents)
