"""Trusted documents: what a manifest may look like, and what each mode executes."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from core.errors import StartupError
from gateway.guard.documents import Rejected
from gateway.transports.limits import EdgeLimits, TrustedMode
from gateway.transports.request import GraphQLRequest
from gateway.trusted import TrustedDocuments, load_trusted

KNOWN = "{ who }"
HASH = sha256(KNOWN.encode()).hexdigest()
OTHER = "{ me: who }"
OTHER_HASH = sha256(OTHER.encode()).hexdigest()


def trusted(mode: TrustedMode) -> TrustedDocuments:
    """Return a list of one document."""
    return TrustedDocuments(mode, {HASH: KNOWN})


def persisted(named: object, query: str | None = None, version: object = 1) -> GraphQLRequest:
    """Return a request in Apollo's form."""
    return GraphQLRequest(query, extensions={"persistedQuery": {"version": version, "sha256Hash": named}})


def code_of(documents: TrustedDocuments, asked: GraphQLRequest) -> Any:
    """Return the code under which a request is refused."""
    with pytest.raises(Rejected) as rejected:
        documents.text_of(asked)
    [error] = rejected.value.errors
    return error["extensions"]["code"]


@pytest.mark.parametrize("mode", ["prefer", "only"])
@pytest.mark.parametrize(
    "asked",
    [
        GraphQLRequest(document_id=f"sha256:{HASH}"),
        GraphQLRequest(document_id=HASH),
        persisted(HASH),
        persisted(HASH, KNOWN),
        GraphQLRequest(KNOWN),
    ],
)
def test_registered_document_is_found(mode: TrustedMode, asked: GraphQLRequest) -> None:
    assert trusted(mode).text_of(asked) == KNOWN


@pytest.mark.parametrize("mode", ["prefer", "only"])
@pytest.mark.parametrize(
    "asked", [persisted(OTHER_HASH), GraphQLRequest(document_id=f"md5:{HASH}"), GraphQLRequest(document_id="")]
)
def test_other_ids_are_not_found(mode: TrustedMode, asked: GraphQLRequest) -> None:
    assert code_of(trusted(mode), asked) == "PERSISTED_QUERY_NOT_FOUND"


def test_apollo_clients_know_the_message() -> None:
    with pytest.raises(Rejected, match=r"^PersistedQueryNotFound$"):
        trusted("prefer").text_of(persisted(OTHER_HASH))
    with pytest.raises(Rejected, match=r"^PersistedQueryNotSupported$"):
        TrustedDocuments().text_of(persisted(HASH))


def test_free_documents_are_executed_unless_only_trusted_ones_are() -> None:
    for asked in (GraphQLRequest(OTHER), persisted(OTHER_HASH, OTHER)):
        assert TrustedDocuments().text_of(asked) == OTHER
        assert trusted("prefer").text_of(asked) == OTHER
        assert code_of(trusted("only"), asked) == "PERSISTED_QUERY_ONLY"


def test_a_document_beside_an_id_is_never_registered_under_it() -> None:
    documents = trusted("prefer")
    documents.text_of(persisted(OTHER_HASH, OTHER))
    assert code_of(documents, persisted(OTHER_HASH)) == "PERSISTED_QUERY_NOT_FOUND"


def test_document_and_id_have_to_belong_together() -> None:
    assert code_of(trusted("prefer"), persisted(OTHER_HASH, KNOWN)) == "BAD_REQUEST"
    assert code_of(trusted("only"), GraphQLRequest(KNOWN, document_id=OTHER_HASH)) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "asked", [persisted(7), persisted("abc"), persisted(HASH, version=2), persisted(HASH.upper()), persisted(None)]
)
def test_extension_of_another_form_is_refused(asked: GraphQLRequest) -> None:
    assert code_of(trusted("prefer"), asked) == "BAD_REQUEST"


def load(path: Path | str) -> TrustedDocuments:
    """Load what a path holds."""
    return load_trusted(EdgeLimits(trusted_mode="only", trusted_documents=str(path)))


def write(path: Path, manifest: object) -> Path:
    """Write a manifest."""
    path.write_text(json.dumps(manifest))
    return path


def test_manifest_is_hashes_and_texts(tmp_path: Path) -> None:
    documents = load(write(tmp_path / "manifest.json", {HASH: KNOWN, f"sha256:{OTHER_HASH}": OTHER}))
    assert documents.text_of(persisted(HASH)) == KNOWN
    assert documents.text_of(persisted(OTHER_HASH)) == OTHER


def test_manifest_of_apollo_is_read(tmp_path: Path) -> None:
    operations = [{"id": HASH, "name": "Who", "type": "query", "body": KNOWN}]
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}
    assert load(write(tmp_path / "manifest.json", manifest)).text_of(persisted(HASH)) == KNOWN


def test_folder_holds_manifests_and_documents(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {HASH: KNOWN})
    (tmp_path / "other.graphql").write_text(OTHER)
    (tmp_path / "README").write_text("nothing to read here")
    assert len(load(tmp_path)) == 2


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({OTHER_HASH: KNOWN}, f"its SHA-256 is {HASH}"),
        ({HASH: 7}, "expected text"),
        ([KNOWN], "expected an object"),
        ({}, "at least one document"),
        ({"format": "apollo-persisted-query-manifest", "operations": [KNOWN]}, "a list of objects"),
    ],
)
def test_wrong_manifest_stops_the_start(tmp_path: Path, manifest: object, message: str) -> None:
    with pytest.raises(StartupError, match=message):
        load(write(tmp_path / "manifest.json", manifest))


def test_missing_or_unreadable_manifest_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="expected a manifest or a folder"):
        load(tmp_path / "none.json")
    (tmp_path / "broken.json").write_bytes(b"\xff")
    with pytest.raises(StartupError, match="UTF-8"):
        load(tmp_path / "broken.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(StartupError, match="expected JSON"):
        load(tmp_path / "broken.json")
