"""A gateway as the tests of imports have it."""

from tests.integration.imports import conftest

gateway = conftest.gateway
