"""What a process of ours reads its settings from, in the tests that start one."""

import os
import secrets

from core.settings import Settings


def environment_of(settings: Settings, **changes: str) -> dict[str, str]:
    """Return the environment under which a process reads exactly these settings, but for the changes."""
    urls = {"MONGO_URL": settings.mongo_url, "REDIS_URL": settings.redis_url, "AMQP_URL": settings.amqp_url}
    others = {
        f"HEADWAY_{name.upper()}": str(value)
        for name, value in settings.model_dump().items()
        if not name.endswith("_url")
    }
    return {**os.environ, **urls, **others, **changes}


def environment_on(mongo_url: str, redis_url: str, amqp_url: str) -> dict[str, str]:
    """Return what has a stack use services that run already, in a namespace and a database that no other has."""
    name = f"t{secrets.token_hex(6)}"
    return {
        "MONGO_URL": mongo_url,
        "REDIS_URL": redis_url,
        "AMQP_URL": amqp_url,
        "HEADWAY_MONGO_DATABASE": name,
        "HEADWAY_NAMESPACE": name,
        "HEADWAY_MONGO_POOL_MIN": "0",
    }
