"""Connections that are encrypted: to a server whose certificate is signed by the CA given and has its name, only."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import trustme

from core.connections import open_amqp, open_mongo, open_redis
from core.errors import StartupError
from core.settings import Settings
from tests.integration.clusters.tls import with_tls

Open = Callable[[Settings], Awaitable[AbstractAsyncContextManager[Any]]]
SERVICES: list[tuple[str, Open]] = [("redis_url", open_redis), ("amqp_url", open_amqp), ("mongo_url", open_mongo)]


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """Who signs the servers' certificates."""
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    """Where its own certificate is."""
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


async def opens(settings: Settings, name: str, open_service: Open, url: str, ca_file: str) -> bool:
    """Return whether the service can be opened so."""
    changed = {name: url, "tls_ca_file": ca_file, "startup_wait_s": 0.0}
    try:
        async with await open_service(settings.model_copy(update=changed)):
            return True
    except StartupError:
        return False


@pytest.mark.parametrize(("name", "open_service"), SERVICES)
async def test_certificate_has_to_be_the_ca_s_and_of_the_host(
    settings: Settings, name: str, open_service: Open, ca: trustme.CA, ca_file: str
) -> None:
    plain = getattr(settings, name)
    certificates = ca.issue_cert("127.0.0.1"), ca.issue_cert("elsewhere.example")
    async with with_tls(plain, certificates[0]) as right, with_tls(plain, certificates[1]) as wrong:
        tried = [(right, ca_file), (right, ""), (wrong, ca_file)]
        opened = await asyncio.gather(*(opens(settings, name, open_service, *each) for each in tried))
    assert opened == [True, False, False]


async def test_ca_of_the_url_goes_before_the_one_of_all(settings: Settings, ca: trustme.CA, ca_file: str) -> None:
    options = {"redis_url": "ssl_ca_certs", "amqp_url": "cafile", "mongo_url": "tlsCAFile"}
    for name, open_service in SERVICES:
        async with with_tls(getattr(settings, name), ca.issue_cert("127.0.0.1")) as url:
            own = f"{url}{'&' if '?' in url else '?'}{options[name]}={ca_file}"
            assert await opens(settings, name, open_service, own, "")
