"""What is read from the addresses of services that are more than one server."""

import pytest

from core.addresses import amqp_urls, mongo_has_tls, public_address, sentinel_address
from core.amqp_client import node_urls
from core.errors import StartupError
from core.redis_client import SentinelRedis, make_redis
from core.settings import Settings


def test_each_node_has_the_url_of_its_own_with_what_all_share() -> None:
    assert amqp_urls("amqps://me:s%40fe@a.example:5672,b.example,[::1]:7/jobs?heartbeat=15") == [
        "amqps://me:s%40fe@a.example:5672/jobs?heartbeat=15",
        "amqps://me:s%40fe@b.example:5671/jobs?heartbeat=15",
        "amqps://me:s%40fe@[::1]:7/jobs?heartbeat=15",
    ]
    assert amqp_urls("amqp://a:1/") == ["amqp://a:1/"]


@pytest.mark.parametrize("url", ["http://a/", "amqp://", "amqp://a,,b/", "amqp://a:port/", "amqp:///"])
def test_no_url_of_rabbitmq_is_refused_without_its_words(url: str) -> None:
    with pytest.raises(StartupError, match="AMQP_URL: expected"):
        amqp_urls(url)


def test_ca_goes_to_nodes_that_are_asked_for_tls_and_name_none() -> None:
    def told(url: str) -> list[str | None]:
        return [node.query.get("cafile") for node in node_urls(Settings(amqp_url=url, tls_ca_file="/ca.pem"))]

    assert told("amqps://a,b/") == ["/ca.pem", "/ca.pem"]
    assert told("amqps://a/?cafile=own.pem") == ["own.pem"]
    assert told("amqp://a/") == [None]


def test_sentinel_s_address_says_who_is_asked_for_what() -> None:
    url = "rediss+sentinel://me:s%40fe@a.example,b.example:7/jobs/3?sentinel_password=other"
    address = sentinel_address(url)
    assert address is not None
    assert address.hosts == [("a.example", 26379), ("b.example", 7)]
    assert (address.master, address.database, address.has_tls) == ("jobs", 3, True)
    assert (address.username, address.password) == ("me", "s@fe")
    assert address.query == {"sentinel_password": "other"}
    assert sentinel_address("redis://a/0") is None
    assert public_address(url) == "rediss+sentinel://a.example,b.example:7/jobs/3"


@pytest.mark.parametrize("rest", ["a", "a/", "a/jobs/x", "/jobs", "a:x/jobs"])
def test_sentinel_s_address_that_lacks_something_is_refused_without_its_secret(rest: str) -> None:
    with pytest.raises(StartupError, match=r"expected redis\+sentinel") as refused:
        sentinel_address(f"redis+sentinel://:hush@{rest}")
    assert "hush" not in str(refused.value)


async def test_sentinels_and_master_get_their_own_passwords_and_tls() -> None:
    url = "rediss+sentinel://me:mine@a,b/jobs?sentinel_username=s&sentinel_password=theirs"
    client = make_redis(Settings(redis_url=url, tls_ca_file="/ca.pem"))
    assert isinstance(client, SentinelRedis)
    of_master = client.connection_pool.connection_kwargs
    of_sentinel = client.manager.sentinels[1].connection_pool.connection_kwargs
    assert (of_master["username"], of_master["password"]) == ("me", "mine")
    assert (of_sentinel["host"], of_sentinel["username"], of_sentinel["password"]) == ("b", "s", "theirs")
    for each in (of_master, of_sentinel):
        assert (each["ssl_ca_certs"], each["ssl_check_hostname"]) == ("/ca.pem", True)
    await client.aclose()


async def test_redis_with_tls_checks_the_name_unless_the_url_says_otherwise() -> None:
    for url, is_checked in (("rediss://a", True), ("rediss://a?ssl_check_hostname=false", False)):
        client = make_redis(Settings(redis_url=url))
        assert client.connection_pool.connection_kwargs["ssl_check_hostname"] is is_checked
        await client.aclose()
    with pytest.raises(StartupError, match="REDIS_URL"):
        make_redis(Settings(redis_url="ftp://a"))


@pytest.mark.parametrize(
    ("url", "has_tls"),
    [
        ("mongodb://a,b/?replicaSet=x", False),
        ("mongodb://a/?tls=true", True),
        ("mongodb://a/?SSL=true", True),
        ("mongodb+srv://a.example/", True),
        ("mongodb+srv://a.example/?tls=false", False),
    ],
)
def test_mongodb_s_url_says_whether_it_is_encrypted(url: str, has_tls: bool) -> None:
    assert mongo_has_tls(url) is has_tls
