"""A live gateway for each test, on the stand-in schema."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from gateway.transports.limits import EdgeLimits
from tests.integration.gateway_transports.edge import Edge, running_edge


@pytest.fixture
def limits() -> EdgeLimits:
    """The default limits; a test module or test overrides them."""
    return EdgeLimits()


@pytest.fixture
def ui_dist(tmp_path: Path) -> Path:
    """A built page with one hashed asset."""
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html><title>explorer</title>")
    (dist / "assets" / "index-abc123.js").write_text("export {}")
    return dist


@pytest.fixture
async def edge(limits: EdgeLimits, ui_dist: Path) -> AsyncIterator[Edge]:
    """A gateway that must be empty at the end of the test."""
    async with running_edge(limits, Settings(ui_dist=str(ui_dist))) as edge:
        yield edge


@pytest.fixture
async def client(edge: Edge) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the live gateway."""
    async with httpx.AsyncClient(base_url=edge.url, timeout=20) as client:
        yield client
