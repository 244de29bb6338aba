"""Which kinds a process has: those of the modules that it names, whatever else it has imported."""

import tests.fault_kinds
from jobs.kinds import load_kinds
from tests.fault_kinds import steps

USUAL = ["importItems", "processData"]


def test_kinds_of_a_module_that_is_only_imported_are_not_installed() -> None:
    assert tests.fault_kinds.flaky.__name__ == "flaky"
    assert list(load_kinds()) == USUAL


def test_named_module_brings_its_kinds_each_time_that_it_is_named() -> None:
    for _ in range(2):
        found = load_kinds(["tests.fault_kinds"])
        assert found["flaky"].function is tests.fault_kinds.flaky
        assert set(USUAL) < set(found)


def test_named_package_brings_the_kinds_of_its_modules() -> None:
    assert "flaky" in load_kinds(["tests"])


def test_module_brings_the_kinds_that_it_imports_by_name_and_no_others() -> None:
    found = load_kinds([__name__])
    assert found["steps"].function is steps
    assert "flaky" not in found
