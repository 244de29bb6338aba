"""The shape of a document, measured before it is validated, because validating some documents is the attack.

One pass over the text's nodes and one over its fragments, each measured once and reused wherever it is spread. So a
document costs what it is long, whatever it expands to. Needs no schema, and forgives what validation will refuse: an
unknown fragment counts nothing, and one that spreads itself counts as if that spread were not there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DefinitionNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

MANY = 10**9
"""Where counting ends: fragments that double each other would otherwise make numbers of hundreds of digits."""
INTROSPECTION = frozenset({"__schema", "__type"})
"""Their depth is not counted, since the usual introspection query has 15 levels; graphql-core limits their lists."""


@dataclass
class Shape:
    """What an operation or a fragment comes to with everything that it spreads."""

    depth: int = 0
    """Fields inside fields; fragments add nothing."""
    nesting: int = 0
    """Braces inside braces, those of fragments too."""
    aliases: int = 0
    root_fields: int = 0


@dataclass(frozen=True)
class DocumentShape:
    """The greatest of its operations, and the directives in the whole text."""

    depth: int
    nesting: int
    aliases: int
    root_fields: int
    directives: int


@dataclass(frozen=True)
class _Spread:
    """Where a definition spreads a fragment."""

    name: str
    depth: int
    nesting: int
    at_root: bool
    in_introspection: bool


@dataclass
class _Local:
    """What a definition says itself."""

    shape: Shape = field(default_factory=Shape)
    directives: int = 0
    spreads: list[_Spread] = field(default_factory=list)


def measure(document: DocumentNode) -> DocumentShape:
    """Return the shape of a document that need not be valid."""
    operations: list[_Local] = []
    fragments: dict[str, _Local] = {}
    directives = 0
    for definition in document.definitions:
        local = _measure_definition(definition)
        directives += local.directives
        if isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = local
        else:
            operations.append(local)
    known = _fold_fragments(fragments)
    shapes = [_fold(local, known) for local in operations]
    return DocumentShape(
        depth=max((shape.depth for shape in shapes), default=0),
        nesting=max((shape.nesting for shape in [*shapes, *known.values()]), default=0),
        aliases=max((shape.aliases for shape in shapes), default=0),
        root_fields=max((shape.root_fields for shape in shapes), default=0),
        directives=directives,
    )


def _measure_definition(definition: DefinitionNode) -> _Local:
    """Return what one definition says itself; anything but operations and fragments says nothing."""
    local = _Local()
    if not isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
        return local
    local.directives = len(definition.directives or ())
    local.directives += sum(len(variable.directives or ()) for variable in definition.variable_definitions or ())
    shape = local.shape
    todo: list[tuple[SelectionSetNode, int, int, bool]] = [(definition.selection_set, 0, 1, False)]
    while todo:
        selections, depth, nesting, hidden = todo.pop()
        shape.nesting = max(shape.nesting, nesting)
        for node in selections.selections:
            local.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                shape.aliases += node.alias is not None
                shape.root_fields += depth == 0 and not hidden
                shape.depth = shape.depth if hidden else max(shape.depth, depth + 1)
                if node.selection_set:
                    inside = hidden or node.name.value in INTROSPECTION
                    todo.append((node.selection_set, depth + 1, nesting + 1, inside))
            elif isinstance(node, InlineFragmentNode):
                todo.append((node.selection_set, depth, nesting + 1, hidden))
            elif isinstance(node, FragmentSpreadNode):
                local.spreads.append(_Spread(node.name.value, depth, nesting, depth == 0 and not hidden, hidden))
    return local


def _fold(local: _Local, known: Mapping[str, Shape]) -> Shape:
    """Return what a definition comes to with the fragments that are known already."""
    total = Shape(**vars(local.shape))
    for spread in local.spreads:
        inner = known.get(spread.name)
        if inner is None:
            continue
        if not spread.in_introspection:
            total.depth = max(total.depth, spread.depth + inner.depth)
        total.nesting = max(total.nesting, spread.nesting + inner.nesting)
        total.aliases = min(MANY, total.aliases + inner.aliases)
        if spread.at_root:
            total.root_fields = min(MANY, total.root_fields + inner.root_fields)
    return total


def _fold_fragments(fragments: Mapping[str, _Local]) -> dict[str, Shape]:
    """Return each fragment's shape, having looked at each spread once; without recursion, however long the chain."""
    known: dict[str, Shape] = {}
    entered: set[str] = set()
    for first in fragments:
        path: list[tuple[str, Iterator[_Spread]]] = []
        if first not in entered:
            entered.add(first)
            path.append((first, iter(fragments[first].spreads)))
        while path:
            name, spreads = path[-1]
            ahead = next((one.name for one in spreads if one.name in fragments and one.name not in entered), None)
            if ahead is None:
                path.pop()
                known[name] = _fold(fragments[name], known)
            else:
                entered.add(ahead)
                path.append((ahead, iter(fragments[ahead].spreads)))
    return known
