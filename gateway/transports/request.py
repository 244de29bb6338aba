"""A GraphQL request as a client states it, the same over every transport, and what its JSON may look like."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from gateway.transports.limits import EdgeLimits

T = TypeVar("T")


class GraphQLRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The parameters of §5.1 of the GraphQL-over-HTTP specification, and `documentId` of its appendix A.

    Others are ignored. `query` is None only if something else names a document: `documentId`, or the extension
    `persistedQuery`.
    """

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None


class Unreadable(ValueError):
    """The bytes are no JSON, or not of the expected shape; the message is for the client and holds no internals."""


_body_decoder = msgspec.json.Decoder(GraphQLRequest)
_map_decoder: msgspec.json.Decoder[dict[str, Any] | None] = msgspec.json.Decoder(dict[str, Any] | None)


def decode_body(body: bytes, limits: EdgeLimits) -> GraphQLRequest:
    """Return the request that the body of a POST states. Raises Unreadable."""
    try:
        request = decode_json(_body_decoder, body)
    except Unreadable as exc:
        if body.lstrip(b" \t\r\n").startswith(b"["):
            raise Unreadable("expected one request as a JSON object; batches are not supported") from exc
        raise
    check_shape(body, request, limits)
    return request


def decode_params(params: Mapping[str, str], limits: EdgeLimits) -> GraphQLRequest:
    """Return the request that the query string of a GET states. Raises Unreadable."""
    maps: dict[str, dict[str, Any] | None] = {}
    for name in ("variables", "extensions"):
        if text := params.get(name, ""):
            try:
                maps[name] = decode_json(_map_decoder, text)
            except Unreadable as exc:
                raise Unreadable(f"{name}: {exc}") from exc
    request = GraphQLRequest(
        params.get("query"), params.get("operationName") or None, document_id=params.get("documentId"), **maps
    )
    check_shape("".join(params.values()), request, limits)
    return request


def decode_json(decoder: msgspec.json.Decoder[T], text: bytes | str) -> T:
    """Return what `text` holds. Raises Unreadable."""
    try:
        return decoder.decode(text)
    except UnicodeDecodeError as exc:
        raise Unreadable("expected UTF-8") from exc
    except RecursionError as exc:
        raise Unreadable("expected JSON that is nested less deeply") from exc
    except msgspec.ValidationError as exc:
        raise Unreadable(str(exc)) from exc
    except msgspec.DecodeError as exc:
        raise Unreadable(f"expected JSON: {exc}") from exc


def check_shape(text: bytes | str, request: GraphQLRequest, limits: EdgeLimits) -> None:
    """Raise Unreadable when the request names no document, or its maps are nested too deeply or hold too many values.

    Looks at the values only when the text has enough brackets or commas to break a limit, so most requests pay nothing.
    """
    if request.query is None and request.document_id is None and "persistedQuery" not in (request.extensions or {}):
        raise Unreadable("expected the parameter `query`")
    if request.variables is None and request.extensions is None:
        return
    if isinstance(text, bytes):
        opened, commas = text.count(b"{") + text.count(b"["), text.count(b",")
    else:
        opened, commas = text.count("{") + text.count("["), text.count(",")
    if opened <= limits.max_json_depth and opened + commas < limits.max_json_nodes:
        return
    nodes = 0
    level: list[Any] = [request.variables, request.extensions]
    for _ in range(limits.max_json_depth):
        deeper: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                deeper.extend(value.values())
            elif isinstance(value, list):
                deeper.extend(value)
        nodes += len(deeper)
        if nodes > limits.max_json_nodes:
            raise Unreadable(f"expected at most {limits.max_json_nodes} values")
        if not deeper:
            return
        level = deeper
    raise Unreadable(f"expected at most {limits.max_json_depth} levels of nesting")
