"""Fixtures of the acceptance tests."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.acceptance.browser import CHROMIUM_ARGS, chromium


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser without a window that knows nothing of earlier tests."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_ARGS))
        yield launched
        await launched.close()
