"""What a process of ours reads its settings from, in the tests that start one."""

import os

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
