"""Connecting to RabbitMQ: to any one node of those that AMQP_URL names, and to another one when that is lost."""

import asyncio
import random

from aio_pika import RobustConnection
from yarl import URL

from core.addresses import amqp_urls
from core.settings import Settings

RECONNECT_EVERY_S = 1.0


class ClusterConnection(RobustConnection):
    """A connection that goes to the next node after each attempt that failed, and each loss."""

    def __init__(self, urls: list[URL]) -> None:
        super().__init__(urls[0], reconnect_interval=RECONNECT_EVERY_S)
        self._urls = urls
        self._tried = 0

    async def _on_connection_close(self, closing: "asyncio.Future[object]") -> None:
        self._tried += 1
        self.url = self._urls[self._tried % len(self._urls)]
        await super()._on_connection_close(closing)


def node_urls(settings: Settings) -> list[URL]:
    """Return the URL of each node, with what is needed to check its certificate. Raises StartupError."""
    urls = [URL(url) for url in amqp_urls(settings.amqp_url)]
    if not settings.tls_ca_file or urls[0].scheme != "amqps" or "cafile" in urls[0].query:
        return urls
    return [url.update_query(cafile=settings.tls_ca_file) for url in urls]


async def connect_amqp(urls: list[URL], node_timeout_s: float) -> ClusterConnection:
    """Connect to one of the nodes, the first one tried being any. Raises what the last one's failure was."""
    first = random.randrange(len(urls))
    for tried in range(1, len(urls) + 1):
        at = (first + tried) % len(urls)
        connection = ClusterConnection(urls[at:] + urls[:at])
        try:
            await connection.connect(node_timeout_s)
        except BaseException as exc:
            await connection.close()
            if tried == len(urls) or not isinstance(exc, Exception):
                raise
        else:
            return connection
    raise AssertionError("there is no AMQP_URL without a node")
