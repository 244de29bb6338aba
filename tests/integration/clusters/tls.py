"""TLS before servers that have none: whoever checks certificates can't tell the difference."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import trustme

from tests.integration.gateway_schema.proxy import Proxy

SCHEMES = {"redis": "rediss", "amqp": "amqps", "mongodb": "mongodb"}


class TlsProxy(Proxy):
    """Ends TLS and passes the rest on."""

    def __init__(self, host: str, port: int, certificate: trustme.LeafCert) -> None:
        super().__init__(host, port)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self.context)


@asynccontextmanager
async def with_tls(url: str, certificate: trustme.LeafCert) -> AsyncIterator[str]:
    """Run TLS before the service of a URL; yield the URL that leads through it."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = TlsProxy(parts.hostname, parts.port, certificate)
    await proxy.mend()
    credentials, at, _ = parts.netloc.rpartition("@")
    query = "&".join(filter(None, (parts.query, "tls=true" * (parts.scheme == "mongodb"))))
    try:
        yield urlunsplit((SCHEMES[parts.scheme], f"{credentials}{at}{proxy.address}", parts.path, query, ""))
    finally:
        await proxy.cut()
