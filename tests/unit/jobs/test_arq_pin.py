"""arq's worker is subclassed: what is overridden or relied on must look as it did when that was written."""

import inspect

import arq.constants
from arq.jobs import serialize_job
from arq.version import VERSION
from arq.worker import Worker

from jobs.worker.arq_worker import OVERRIDDEN, TaskWorker


def test_arq_is_the_release_that_the_subclass_was_written_for() -> None:
    assert VERSION == "0.28.0"


def test_overridden_methods_keep_their_signatures() -> None:
    for name in OVERRIDDEN:
        assert inspect.signature(getattr(TaskWorker, name)) == inspect.signature(getattr(Worker, name))
        assert name in vars(TaskWorker)


def test_keys_and_payload_are_arq_s_own() -> None:
    assert arq.constants.job_key_prefix == "arq:job:"
    assert arq.constants.in_progress_key_prefix == "arq:in-progress:"
    assert list(inspect.signature(serialize_job).parameters) == [
        "function_name",
        "args",
        "kwargs",
        "job_try",
        "enqueue_time_ms",
        "serializer",
    ]
