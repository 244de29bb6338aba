"""Trusted documents: registered by the SHA-256 of their text when a client is built, and asked for by it.

A request names one as `documentId: "sha256:…"` (GraphQL over HTTP, appendix A) or by Apollo's
`extensions.persistedQuery.sha256Hash`; over HTTP and WebSocket alike. They come from files and from MongoDB, where
`headway documents` registers them. Nothing can be registered by a request: what anyone may add (Apollo's automatic
persisted queries) is a cache, no list of what is trusted.

| mode     | a registered id | another id                    | a document                               |
|----------|-----------------|-------------------------------|------------------------------------------|
| `off`    | is refused: PERSISTED_QUERY_NOT_SUPPORTED       | is executed                              |
| `prefer` | is executed     | PERSISTED_QUERY_NOT_FOUND     | is executed                              |
| `only`   | is executed     | PERSISTED_QUERY_NOT_FOUND     | if registered, or PERSISTED_QUERY_ONLY   |
"""

import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import orjson

from core.errors import StartupError
from gateway.guard.documents import Rejected
from gateway.transports.limits import EdgeLimits, TrustedMode
from gateway.transports.request import GraphQLRequest
from gateway.trusted_store import digest

SETTING = "HEADWAY_TRUSTED_DOCUMENTS"
PREFIX = "sha256:"
APOLLO_FORMAT = "apollo-persisted-query-manifest"
_HASH = re.compile(r"[0-9a-f]{64}")


class TrustedDocuments:
    """The texts that are trusted, by the hexadecimal SHA-256 of their UTF-8, and what that means."""

    def __init__(self, mode: TrustedMode = "off", *texts: Mapping[str, str]) -> None:
        self._mode = mode
        self._texts = ChainMap(*map(dict, texts))

    @property
    def is_off(self) -> bool:
        """Whether no list is kept."""
        return self._mode == "off"

    def follow(self, texts: Mapping[str, str]) -> None:
        """Trust what is in `texts` too, now and whenever it changes."""
        self._texts.maps.append(cast("dict[str, str]", texts))

    def __len__(self) -> int:
        return len(self._texts)

    def text_of(self, asked: GraphQLRequest) -> str:
        """Return the text of the document that a request asks for. Raises Rejected."""
        if self._mode == "off":
            if asked.query is None:
                raise _rejected("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
            return asked.query
        named = _named_hash(asked)
        if asked.query is None:
            text = self._texts.get(named or "")
            if text is None:
                raise _rejected("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
            return text
        if named is not None or self._mode == "only":
            self._check_text(asked.query, named)
        return asked.query

    def _check_text(self, text: str, named: str | None) -> None:
        found = digest(text)
        if named not in (None, found):
            raise _rejected("BAD_REQUEST", "Expected the id of a document to be the SHA-256 of the query beside it")
        if self._mode == "only" and found not in self._texts:
            raise _rejected(
                "PERSISTED_QUERY_ONLY", "Expected a trusted document, by its id: `documentId` or an extension"
            )


def load_trusted(limits: EdgeLimits) -> TrustedDocuments:
    """Read the files that the settings name, if anything is to be trusted. Raises StartupError."""
    if limits.trusted_mode == "off":
        return TrustedDocuments()
    if not limits.trusted_documents:
        return TrustedDocuments(limits.trusted_mode)
    return TrustedDocuments(limits.trusted_mode, read_texts(Path(limits.trusted_documents)))


def read_texts(path: Path) -> dict[str, str]:
    """Return the documents of a manifest, a document, or a folder of both, by their SHA-256. Raises StartupError."""
    if not path.exists():
        raise StartupError(f"{SETTING}: expected a manifest or a folder, and nothing is at {path}")
    texts: dict[str, str] = {}
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.suffix in (".graphql", ".gql"):
            text = _read(file).decode()
            texts[digest(text)] = text
        elif file.suffix == ".json" or file == path:
            texts.update(_read_manifest(file))
    if not texts:
        raise StartupError(f"{SETTING}: expected at least one document in {path}")
    return texts


def _read(file: Path) -> bytes:
    try:
        data = file.read_bytes()
        data.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise StartupError(f"{SETTING}: {file}: expected a readable file in UTF-8") from exc
    return data


def _read_manifest(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the entries of a manifest: `{"<sha256>": "<text>"}`, or Apollo's."""
    try:
        manifest = orjson.loads(_read(file))
    except orjson.JSONDecodeError as exc:
        raise StartupError(f"{SETTING}: {file}: expected JSON: {exc}") from exc
    for ident, text in _entries(manifest, file):
        named = str(ident).removeprefix(PREFIX)
        if not isinstance(text, str):
            raise StartupError(f"{SETTING}: {file}: expected text under {named[:80]!r}")
        if named != digest(text):
            raise StartupError(
                f"{SETTING}: {file}: expected under {named[:80]!r} the document with this SHA-256, but its SHA-256 is "
                f"{digest(text)}; was the manifest made with another algorithm, or its text changed?"
            )
        yield named, text


def _entries(manifest: Any, file: Path) -> Iterator[tuple[Any, Any]]:
    if not isinstance(manifest, dict):
        raise StartupError(f"{SETTING}: {file}: expected an object of documents by their SHA-256")
    operations = manifest.get("operations")
    if manifest.get("format") != APOLLO_FORMAT:
        yield from manifest.items()
    elif isinstance(operations, list) and all(isinstance(one, dict) for one in operations):
        yield from ((one.get("id"), one.get("body")) for one in operations)
    else:
        raise StartupError(f"{SETTING}: {file}: expected `operations` to be a list of objects")


def _named_hash(asked: GraphQLRequest) -> str | None:
    """Return the SHA-256 by which a request names its document, None if it names none. Raises Rejected."""
    if asked.document_id is not None:
        return asked.document_id.removeprefix(PREFIX)
    persisted = (asked.extensions or {}).get("persistedQuery")
    if persisted is None:
        return None
    named = persisted.get("sha256Hash") if isinstance(persisted, dict) and persisted.get("version", 1) == 1 else None
    if not isinstance(named, str) or not _HASH.fullmatch(named):
        raise _rejected(
            "BAD_REQUEST", "Expected extensions.persistedQuery to have version 1 and sha256Hash, 64 hex digits"
        )
    return named


def _rejected(code: str, message: str) -> Rejected:
    return Rejected(({"message": message, "extensions": {"code": code}},))
