"""Trusted documents from MongoDB: registered and removed by the command while a gateway runs, over all transports."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.documents import TrustedDocument
from core.settings import Settings
from gateway.transports.limits import EdgeLimits
from gateway.trusted_store import MAX_DOCUMENTS, StoredDocuments, digest
from tests.integration.gateway_transports.edge import Edge
from tests.integration.identity.conftest import Serve, bearer

KNOWN = "query Who { __typename }"
OTHER = "query Other { taskKinds { name } }"
ANSWER = {"data": {"__typename": "Query"}}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have gateways look ten times a second."""
    monkeypatch.setattr(StoredDocuments, "every_s", 0.1)


async def command(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `headway documents` on the test's database."""
    environment = {**os.environ, "MONGO_URL": settings.mongo_url, "HEADWAY_MONGO_DATABASE": settings.mongo_database}
    whole = [sys.executable, "-m", "cli", "documents", *arguments]
    return await asyncio.to_thread(
        subprocess.run, whole, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


async def ask(edge: Edge, **body: Any) -> dict[str, Any]:
    """Ask over HTTP."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{edge.url}/graphql", json=body, headers=bearer())
    told: dict[str, Any] = answer.json()
    return told


async def ask_on_socket(edge: Edge, **payload: Any) -> Any:
    """Ask over a WebSocket."""
    async with edge.session(additional_headers=bearer()) as client:
        await client.send(id="1", type="subscribe", payload=payload)
        return (await client.read())["payload"]


async def until_answered(edge: Edge, expected: str, ident: str) -> None:
    """Return once an id is answered with these words."""
    async with asyncio.timeout(10):
        while expected not in json.dumps(await ask(edge, documentId=ident)):  # noqa: ASYNC110  # It is another's news.
            await asyncio.sleep(0.05)


async def test_document_is_taken_once_it_is_registered_and_no_longer_once_it_is_removed(
    serve: Serve, settings: Settings, tmp_path: Path
) -> None:
    edge = await serve(EdgeLimits(trusted_mode="only"))
    ident = f"sha256:{digest(KNOWN)}"
    assert (await ask(edge, documentId=ident))["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    (tmp_path / "who.graphql").write_text(KNOWN)
    (tmp_path / "others.json").write_text(json.dumps({digest(OTHER): OTHER}))
    for _ in range(2):
        added = await command(settings, "add", str(tmp_path))
        assert added.returncode == 0, added.stderr
        assert sorted(added.stdout.split()) == sorted([digest(KNOWN), digest(OTHER)])
    await until_answered(edge, "__typename", ident)
    assert await ask(edge, documentId=ident) == ANSWER
    assert await ask(edge, query=KNOWN) == ANSWER
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": digest(KNOWN)}}
    assert await ask(edge, extensions=persisted) == ANSWER
    assert await ask_on_socket(edge, documentId=ident) == ANSWER
    assert await ask_on_socket(edge, extensions=persisted) == ANSWER
    (refused,) = await ask_on_socket(edge, query="{ me: __typename }")
    assert refused["extensions"]["code"] == "PERSISTED_QUERY_ONLY"

    listed = (await command(settings, "list")).stdout.splitlines()
    assert [line.split()[-1] for line in listed] == ["Other", "Who"]
    assert (await command(settings, "remove", digest(KNOWN))).returncode == 0
    await until_answered(edge, "PERSISTED_QUERY_NOT_FOUND", ident)
    (refused,) = await ask_on_socket(edge, documentId=ident)
    assert refused["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert (await command(settings, "remove", digest(KNOWN))).returncode == 1


async def test_documents_of_a_file_and_of_mongodb_are_trusted_together(serve: Serve, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({digest(OTHER): OTHER}))
    edge = await serve(EdgeLimits(trusted_mode="only", trusted_documents=str(manifest)))
    await TrustedDocument(id=digest(KNOWN), name="Who", text=KNOWN).insert()
    await until_answered(edge, "__typename", digest(KNOWN))
    assert "errors" not in await ask(edge, documentId=digest(OTHER))
    assert await ask(edge, documentId=digest(KNOWN)) == ANSWER


async def test_text_that_is_not_what_its_id_says_is_not_trusted(serve: Serve) -> None:
    await TrustedDocument(id=digest(OTHER), name="forged", text=KNOWN).insert()
    await TrustedDocument(id=digest(KNOWN), name="Who", text=KNOWN).insert()
    edge = await serve(EdgeLimits(trusted_mode="only"))
    assert await ask(edge, documentId=digest(KNOWN)) == ANSWER
    assert "PERSISTED_QUERY_NOT_FOUND" in json.dumps(await ask(edge, documentId=digest(OTHER)))


async def test_more_documents_than_a_replica_keeps_are_not_taken(
    settings: Settings, serve: Serve, tmp_path: Path
) -> None:
    await serve()
    collection = TrustedDocument.get_pymongo_collection()
    await collection.insert_many([{"_id": f"{n:064x}", "name": "x", "text": "x"} for n in range(MAX_DOCUMENTS)])
    (tmp_path / "who.graphql").write_text(KNOWN)
    refused = await command(settings, "add", str(tmp_path / "who.graphql"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "at most 10,000" in refused.stderr
    (tmp_path / "bad.graphql").write_text("query {")
    assert "Syntax Error" in (await command(settings, "add", str(tmp_path / "bad.graphql"))).stderr
