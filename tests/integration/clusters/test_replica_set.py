"""Addresses of MongoDB that name a replica set, by its members or by a name that DNS knows (SRV)."""

from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from cli.clusters import mongodb_findings
from core.connections import MongoClient, mongo_options, open_mongo
from core.errors import StartupError
from core.settings import Settings
from stack.process import Guard
from tests.conftest import running
from tests.integration.clusters.dns_server import name_server
from tests.integration.clusters.encrypted import draw_papers, mongodb

SRV = "db.0.1"
"""A made-up name: DNS may answer for it with "127.0.0.1", of the same parent, which no system has to look up."""


async def client_of(settings: Settings, url: str) -> AsyncMongoClient[dict[str, Any]]:
    """Return a client as processes make it; it has not connected."""
    return AsyncMongoClient(url, **mongo_options(settings.model_copy(update={"mongo_url": url})))


async def test_members_are_all_known_and_writes_are_a_majority_s_whatever_the_url_says(settings: Settings) -> None:
    url = (
        "mongodb://me:s%40fe@a.example,b.example:7,c.example/headway?replicaSet=headway&authSource=admin"
        "&w=1&journal=false&readPreference=secondary&tls=true"
    )
    client = await client_of(settings, url)
    assert client._topology_settings.seeds == {("a.example", 27017), ("b.example", 7), ("c.example", 27017)}
    options = client.options
    assert options.replica_set_name == "headway"
    assert options.write_concern.document == {"w": "majority", "j": True}
    assert options.read_preference.name == "Primary"
    assert options.pool_options._ssl_context is not None
    credentials = options.pool_options._credentials
    assert credentials is not None
    assert (credentials.source, credentials.username, credentials.password) == ("admin", "me", "s@fe")
    await client.close()


async def test_srv_name_leads_to_an_encrypted_server(
    settings: Settings, tmp_path: Path, process_guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = draw_papers(tmp_path)
    program = mongodb(tmp_path, papers)
    records = {
        (f"_mongodb._tcp.{SRV}", "SRV"): [f"0 0 {program.port} 127.0.0.1."],
        (SRV, "TXT"): ['"replicaSet=secantus"'],
    }
    url = f"mongodb+srv://{SRV}/?tlsCertificateKeyFile={papers.client_both}"
    encrypted = settings.model_copy(update={"mongo_url": url, "tls_ca_file": papers.ca})
    with running((program,), tmp_path, process_guard):
        async with name_server(records, monkeypatch), await open_mongo(encrypted) as client:
            await client[settings.mongo_database]["any"].insert_one({"_id": 1})
            assert await client.address == ("127.0.0.1", program.port)
            assert client.topology_description.topology_type_name == "ReplicaSetWithPrimary"
            with pytest.raises(StartupError, match=r"MongoDB at mongodb\+srv://db\.0\.1/ did not answer"):
                await open_mongo(encrypted.model_copy(update={"tls_ca_file": "", "startup_wait_s": 0}))


async def test_srv_name_that_dns_does_not_know_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with name_server({}, monkeypatch):
        unknown = settings.model_copy(update={"mongo_url": "mongodb+srv://me:hush@db.0.1/", "startup_wait_s": 0})
        with pytest.raises(StartupError, match=r"db\.0\.1/ did not answer within 0 s \(ConfigurationError\)") as told:
            await open_mongo(unknown)
        assert "hush" not in str(told.value)


@pytest.mark.parametrize(("hosts", "said"), [(["a:1"], "1 member, "), (["a:1", "b:1", "c:1"], "3 members, ")])
async def test_doctor_counts_the_members(mongo: MongoClient, hosts: list[str], said: str) -> None:
    hello = {"setName": "headway", "hosts": hosts, "primary": "a:1"}
    [finding] = [finding async for finding in mongodb_findings(mongo, hello)]
    assert finding.said.startswith(f"headway: {said}a:1 is the primary")
