"""Making a Redis client: of one server, or of whichever server Sentinels say is the master at the moment."""

from typing import Any, cast
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool

from core.addresses import SentinelAddress, sentinel_address
from core.errors import StartupError
from core.settings import Settings

ANSWER_WITHIN_S = 5.0
CONNECT_WITHIN_S = 2.0
CHECK_EVERY_S = 15


class SentinelRedis(Redis):
    """A client of the master. A connection that is lost is opened again to the server that is the master by then."""

    @property
    def manager(self) -> Sentinel:
        """Who asks the Sentinels for the master's address."""
        return cast(Sentinel, self._pool.sentinel_manager)

    @property
    def master_name(self) -> str:
        """Under which name the Sentinels know the master."""
        return str(self._pool.service_name)

    @property
    def _pool(self) -> SentinelConnectionPool:
        return cast(SentinelConnectionPool, self.connection_pool)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close its connections, and those to the Sentinels."""
        await super().aclose(close_connection_pool)
        for each in self.manager.sentinels:
            await each.aclose()


def make_redis(settings: Settings) -> Redis:
    """Return a client that has not connected yet; the caller closes it. Raises StartupError for an unusable URL."""
    sentinel = sentinel_address(settings.redis_url)
    timeouts: dict[str, Any] = {"socket_timeout": ANSWER_WITHIN_S, "socket_connect_timeout": CONNECT_WITHIN_S}
    if sentinel is not None:
        return _of_sentinel(sentinel, timeouts, settings)
    tls = _tls(settings) if urlsplit(settings.redis_url).scheme == "rediss" else {}
    try:
        client: Redis = Redis.from_url(
            settings.redis_url, health_check_interval=CHECK_EVERY_S, protocol=2, **timeouts, **tls
        )
    except ValueError as exc:
        raise StartupError(f"REDIS_URL: {exc}") from exc
    return client


def _of_sentinel(address: SentinelAddress, timeouts: dict[str, Any], settings: Settings) -> SentinelRedis:
    tls = {"ssl": True, **_tls(settings)} if address.has_tls else {}
    own = {name: address.query.get(f"sentinel_{name}") for name in ("username", "password")}
    manager = Sentinel(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped.
        address.hosts, sentinel_kwargs={**timeouts, **tls, **own}
    )
    client: SentinelRedis = manager.master_for(
        address.master,
        redis_class=SentinelRedis,
        db=address.database,
        username=address.username,
        password=address.password,
        health_check_interval=CHECK_EVERY_S,
        protocol=2,
        **timeouts,
        **tls,
    )
    return client


def _tls(settings: Settings) -> dict[str, Any]:
    """Return how a server's certificate is checked; redis-py leaves its name out unless told."""
    return {"ssl_check_hostname": True, **({"ssl_ca_certs": settings.tls_ca_file} if settings.tls_ca_file else {})}
