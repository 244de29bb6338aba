"""Media types: which one an Accept header prefers (RFC 9110 §12.5.1), and whether a Content-Type is JSON."""

from dataclasses import dataclass
from functools import lru_cache

RESPONSE_JSON = "application/graphql-response+json"
JSON = "application/json"
HTML = "text/html"
PLAIN = "text/plain"
EVENT_STREAM = "text/event-stream"
USUAL_CHARS = 300
"""Clients send the same few texts again and again: what those come to that are no longer than this is kept."""


@dataclass(frozen=True)
class _Range:
    """One media range of an Accept header. `specificity`: 0 for */*, 1 for type/*, 2 for type/subtype."""

    type: str
    subtype: str
    q: float

    @property
    def specificity(self) -> int:
        return (self.type != "*") + (self.subtype != "*")

    def matches(self, media_type: str) -> bool:
        kind, _, subtype = media_type.partition("/")
        return self.type in ("*", kind) and self.subtype in ("*", subtype)


def choose_media_type(accept: str | None, offers: tuple[str, ...]) -> str | None:
    """Return the offer with the highest quality, None when none is acceptable.

    Among equals one that is named goes before one that a wildcard covers, then the earlier offer wins; without the
    header, or when only wildcards match, application/json is meant (GraphQL over HTTP §6.1, "legacy watershed").
    """
    if accept is None or not accept.strip():
        return JSON
    return _choose(accept, offers) if len(accept) > USUAL_CHARS else _choose_usual(accept, offers)


def _choose(accept: str, offers: tuple[str, ...]) -> str | None:
    ranges = [parsed for part in accept.split(",") if (parsed := _parse_range(part)) is not None]
    best: tuple[float, int, int] | None = None
    chosen: str | None = None
    for position, offer in enumerate(offers):
        matching = max((r for r in ranges if r.matches(offer)), key=lambda r: (r.specificity, r.q), default=None)
        if matching is None or matching.q <= 0:
            continue
        preference = 0 if offer == JSON and matching.specificity < 2 else -1 - position
        rank = (matching.q, matching.specificity, preference)
        if best is None or rank > best:
            best, chosen = rank, offer
    return chosen


_choose_usual = lru_cache(maxsize=256)(_choose)


def is_json(content_type: str | None) -> bool:
    """Whether a request's body is application/json in UTF-8: the type that no form and no plain link can send."""
    if not content_type:
        return False
    return _is_json(content_type) if len(content_type) > USUAL_CHARS else _is_usual_json(content_type)


def _is_json(content_type: str) -> bool:
    kind, *parameters = content_type.lower().split(";")
    return kind.strip() == JSON and "," not in content_type and all(map(_leaves_utf_8, parameters))


_is_usual_json = lru_cache(maxsize=256)(_is_json)


def _leaves_utf_8(parameter: str) -> bool:
    """Whether a media type's parameter, in small letters, asks for no other charset."""
    name, _, value = parameter.partition("=")
    return name.strip() != "charset" or value.strip(' \t"') in ("utf-8", "utf8")


def _parse_range(part: str) -> _Range | None:
    """Return the range, None for one that is malformed or that asks for another charset than UTF-8."""
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    kind, slash, subtype = media_range.partition("/")
    if not slash or not kind or not subtype or (kind == "*" and subtype != "*"):
        return None
    q = 1.0
    for parameter in parameters:
        if not _leaves_utf_8(parameter):
            return None
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                q = float(value)
            except ValueError:
                return None
            if not 0 <= q <= 1:
                return None
    return _Range(kind, subtype, q)
