"""The kind processData, run in this process with a context that records what it is told."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from core.settings import Settings
from jobs.kinds import load_kinds
from jobs.kinds.process_data import ProcessDataInput, process_data


@dataclass
class RecordingContext:
    """A TaskContext that keeps every report."""

    task_id: UUID = field(default_factory=uuid4)
    attempt: int = 1
    state: Any = None
    reports: list[tuple[int, int | None]] = field(default_factory=list)

    def progress(self, current: int, total: int | None = None, message: str | None = None) -> None:
        self.reports.append((current, total))

    def log(self, text: str) -> None:
        raise AssertionError("processData has nothing to say")


def independent_digests(data: str, iterations: int, rounds: int) -> list[str]:
    """Return the digests as a reader of the documentation would compute them."""
    digests, previous = [], b""
    for _ in range(iterations):
        block = previous + data.encode()
        for _ in range(rounds):
            block = sha256(block).digest()
        previous = block
        digests.append(previous.hex())
    return digests


@pytest.mark.parametrize(("data", "rounds"), [("hello", 1), ("hello", 7), ("", 3), ("Zürich 東京 🛫", 2)])
def test_digests_equal_an_independent_computation(data: str, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_PROCESS_DATA_ROUNDS", str(rounds))
    result = process_data(RecordingContext(), ProcessDataInput(data=data, iterations=20))
    assert [item.digest for item in result.processed_items] == independent_digests(data, 20, rounds)
    assert [item.index for item in result.processed_items] == list(range(20))
    assert (result.total_processed, result.rounds) == (20, rounds)


def test_first_digest_of_one_round_is_plain_sha256(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_PROCESS_DATA_ROUNDS", "1")
    result = process_data(RecordingContext(), ProcessDataInput(data="abc", iterations=1))
    assert result.processed_items[0].digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_every_iteration_is_reported_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_PROCESS_DATA_ROUNDS", "1")
    ctx = RecordingContext()
    process_data(ctx, ProcessDataInput(data="x", iterations=30))
    assert ctx.reports == [(done, 30) for done in range(1, 31)]


def test_rounds_come_from_the_settings_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWAY_PROCESS_DATA_ROUNDS", raising=False)
    assert process_data(RecordingContext(), ProcessDataInput(data="x", iterations=1)).rounds == (
        Settings.model_fields["process_data_rounds"].default
    )


def test_largest_result_stays_near_one_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_PROCESS_DATA_ROUNDS", "1")
    result = process_data(RecordingContext(), ProcessDataInput(data="x", iterations=10_000))
    assert len(result.model_dump_json()) < 1_100_000


def test_a_hundred_iterations_are_the_default() -> None:
    assert ProcessDataInput(data="x").iterations == 100


@pytest.mark.parametrize("data", ["x" * 65_536, "é" * 32_768])
def test_data_of_exactly_64_kb_is_accepted(data: str) -> None:
    assert ProcessDataInput(data=data).data == data


@pytest.mark.parametrize(
    "values",
    [
        {"data": "x", "iterations": 0},
        {"data": "x", "iterations": -1},
        {"data": "x", "iterations": 10_001},
        {"data": "x", "iterations": 10**9},
        {"data": "x", "iterations": "5"},
        {"data": "x", "iterations": 5.0},
        {"data": "x", "iterations": True},
        {"data": "x" * 65_537},
        {"data": "é" * 32_769},
        {"data": None},
        {"data": 5},
        {"data": "lone \ud800"},
        {"data": "x", "rounds": 3},
        {},
    ],
)
def test_bad_input_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProcessDataInput.model_validate(values)


def test_contract_is_declared_and_every_field_described() -> None:
    declared = load_kinds()["processData"]
    assert declared.is_cpu_bound
    assert "SHA-256" in declared.description
    models = (declared.input_model, declared.result_model)
    assert all(field.description for model in models for field in model.model_fields.values())
