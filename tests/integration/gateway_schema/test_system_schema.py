"""What the schema tells of the system itself: the kinds that are installed, and how its services are."""

from core.connections import open_redis
from core.settings import Settings
from gateway.health import check
from tests.integration.gateway_schema.asking import Gateway
from tests.integration.gateway_schema.conftest import OpenGateway
from tests.integration.gateway_schema.proxy import proxied


async def test_the_installed_kinds_are_listed_by_name(gateway: Gateway) -> None:
    query = (
        "{ taskKinds { name description inputType resultType taskType inputSchema timeoutS maxAttempts isCpuBound } }"
    )
    kinds = (await gateway.get(query))["taskKinds"]
    assert [kind["name"] for kind in kinds] == ["exportItems", "importItems", "paintPicture", "processData"]
    process = kinds[3]
    assert (process["inputType"], process["resultType"], process["taskType"]) == (
        "ProcessDataInput",
        "ProcessDataResult",
        "ProcessDataTask",
    )
    assert (process["timeoutS"], process["maxAttempts"], process["isCpuBound"]) == (600.0, 3, True)
    assert process["inputSchema"]["properties"]["iterations"]["maximum"] == 10_000
    assert kinds[1]["inputSchema"]["required"] == ["format"]
    assert "keyField" in kinds[1]["inputSchema"]["properties"]
    assert all(kind["description"] for kind in kinds)


async def test_health_tells_each_service_apart(open_gateway: OpenGateway, redis_url: str, settings: Settings) -> None:
    query = "{ health { status timestamp services { name status latencyMs } } }"
    async with proxied(redis_url) as (proxy, url):
        its_redis = await open_redis(settings.model_copy(update={"redis_url": url}))
        gateway = await open_gateway(None, its_redis)
        well = (await gateway.get(query))["health"]
        assert well["status"] == "HEALTHY"
        assert [(service["name"], service["status"]) for service in well["services"]] == [
            ("MongoDB", "UP"),
            ("Redis", "UP"),
            ("direct", "UP"),
        ]
        assert all(service["latencyMs"] >= 0 for service in well["services"])
        await proxy.cut()
        health = await check(gateway.services)
        assert health.is_ready
        answer = health.as_json()
        assert answer["status"] == "degraded"
        assert answer["services"] == {"mongodb": "up", "redis": "down", "direct": "down"}
        await its_redis.aclose()
