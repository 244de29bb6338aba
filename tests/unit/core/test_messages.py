"""What a broker message may be: anything else is unreadable, never a reason to end."""

import json
from uuid import UUID, uuid4

import pytest

from core.messages import TaskMessage, UnreadableMessage, decode_messages, encode_messages

TASK = UUID("6f1c1f3e-9a39-4b0a-8f5c-0d2d6a0a0a0a")


@pytest.mark.parametrize("count", [1, 2, 50])
def test_messages_survive_their_journey_in_their_order(count: int) -> None:
    messages = tuple(TaskMessage(uuid4(), number + 1, f"00-trace-{number}", "story") for number in range(count))
    assert decode_messages(encode_messages(messages)) == messages


def test_one_message_alone_is_of_the_version_that_every_bridge_reads() -> None:
    assert json.loads(encode_messages([TaskMessage(TASK, 7)])) == {
        "task_id": str(TASK),
        "epoch": 7,
        "trace": None,
        "correlation_id": None,
        "version": 1,
    }


@pytest.mark.parametrize("epoch", ["0", "-1", "9223372036854775808", "99999999999999999999999", "1.5", '"1"', "null"])
def test_epoch_that_no_database_can_compare_is_unreadable(epoch: str) -> None:
    with pytest.raises(UnreadableMessage):
        decode_messages(f'{{"task_id":"{TASK}","epoch":{epoch}}}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"task_id":1}',
        b'{"epoch":1}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000,
        b'{"version":2}',
        b'{"version":2,"tasks":[]}',
        b'{"version":2,"tasks":[{"task_id":"x","epoch":1}]}',
        b'{"version":"2","tasks":[]}',
    ],
)
def test_what_is_no_message_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        decode_messages(body)


def test_other_version_is_unreadable() -> None:
    with pytest.raises(UnreadableMessage, match="version 1 or 2"):
        decode_messages(encode_messages([TaskMessage(TASK, 1, version=3)]))
