"""What a query asks for below a field, so that nothing large is read for nothing."""

from collections.abc import Iterable

from graphql import FieldNode, FragmentSpreadNode, SelectionNode

from gateway.schema.fields import ContextInfo


def selects(info: ContextInfo, names: frozenset[str]) -> bool:
    """Return whether a field with one of these names is selected anywhere below the field being resolved."""
    return not names.isdisjoint(selected(info))


def selected(info: ContextInfo) -> set[str]:
    """Return the names of all fields that are selected anywhere below the field being resolved, skipped ones too."""
    names: set[str] = set()
    seen: set[str] = set()
    todo: list[Iterable[SelectionNode]] = [_below(node) for node in info._raw_info.field_nodes]
    while todo:
        for node in todo.pop():
            if isinstance(node, FieldNode):
                names.add(node.name.value)
            if not isinstance(node, FragmentSpreadNode):
                todo.append(_below(node))
            elif node.name.value not in seen:
                seen.add(node.name.value)
                todo.append(_below(info._raw_info.fragments[node.name.value]))
    return names


def _below(node: object) -> Iterable[SelectionNode]:
    selection_set = getattr(node, "selection_set", None)
    return selection_set.selections if selection_set else ()
