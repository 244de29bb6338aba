"""What a query asks for below a field, so that nothing large is read for nothing."""

from collections.abc import Iterable, Mapping

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, SelectionNode

from gateway.schema.fields import ContextInfo


class KeptNodes(list[FieldNode]):
    """A field's nodes in a document that is kept, with the names below them once somebody has asked."""

    names: frozenset[str] | None = None


def selects(info: ContextInfo, names: frozenset[str]) -> bool:
    """Return whether a field with one of these names is selected anywhere below the field being resolved."""
    return not names.isdisjoint(selected(info))


def selected(info: ContextInfo) -> frozenset[str]:
    """Return the names of all fields that are selected anywhere below the field being resolved, skipped ones too."""
    nodes, fragments = info._raw_info.field_nodes, info._raw_info.fragments
    if not isinstance(nodes, KeptNodes):
        return _names_below(nodes, fragments)
    if nodes.names is None:
        nodes.names = _names_below(nodes, fragments)
    return nodes.names


def _names_below(nodes: Iterable[FieldNode], fragments: Mapping[str, FragmentDefinitionNode]) -> frozenset[str]:
    names: set[str] = set()
    seen: set[str] = set()
    todo: list[Iterable[SelectionNode]] = [_below(node) for node in nodes]
    while todo:
        for node in todo.pop():
            if isinstance(node, FieldNode):
                names.add(node.name.value)
            if not isinstance(node, FragmentSpreadNode):
                todo.append(_below(node))
            elif node.name.value not in seen:
                seen.add(node.name.value)
                todo.append(_below(fragments[node.name.value]))
    return frozenset(names)


def _below(node: object) -> Iterable[SelectionNode]:
    selection_set = getattr(node, "selection_set", None)
    return selection_set.selections if selection_set else ()
