"""Fixtures of the acceptance tests."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.acceptance.browser import CHROMIUM_ARGS, chromium


@pytest.fixture(scope="session")
async def launched_browser() -> AsyncIterator[Browser]:
    """A browser without a window."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_ARGS))
        yield launched
        await launched.close()


@pytest.fixture
async def browser(launched_browser: Browser) -> AsyncIterator[Browser]:
    """A browser that knows nothing of earlier tests: each page has a context of its own, which ends with the test."""
    yield launched_browser
    for context in launched_browser.contexts:
        await context.close()
