"""The pages that a live gateway serves, their policy, and what it says where there is none."""

from pathlib import Path

import httpx
import pytest

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize("path", ["/", "/graphql", "/ui/", "/ui/index.html"])
async def test_browser_gets_the_page_under_a_strict_policy(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"accept": CHROMIUM})
    assert response.status_code == 200
    assert response.text == "<!doctype html><title>explorer</title>"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'" in policy


async def test_hashed_assets_are_cached_for_ever(client: httpx.AsyncClient) -> None:
    response = await client.get("/ui/assets/index-abc123.js")
    assert response.text == "export {}"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/nothing", "/graphql/", "/ui/nothing.js", "/ui/%2e%2e/%2e%2e/etc/passwd"])
async def test_unknown_path_is_a_json_404(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_pages_that_are_not_built_say_how_to_build_them(client: httpx.AsyncClient, ui_dist: Path) -> None:
    (ui_dist / "index.html").unlink()
    response = await client.get("/", headers={"accept": CHROMIUM})
    assert response.status_code == 200
    assert "npm run build" in response.text
