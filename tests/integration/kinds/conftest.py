"""Kinds need MongoDB and nothing else."""

import secrets

import pytest

from core.settings import Settings


@pytest.fixture
def settings(mongo_url: str) -> Settings:
    """Settings with a database that no other test has."""
    return Settings(mongo_url=mongo_url, mongo_database=f"t{secrets.token_hex(6)}", mongo_pool_min=0, startup_wait_s=5)
