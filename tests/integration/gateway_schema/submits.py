"""What the tests of submitting share: the operations, and publishers that wait or refuse."""

import asyncio

from core.messages import TaskMessage
from core.publisher import PublishFailed
from core.states import Priority

PROCESS = """
mutation ($input: ProcessDataInput!, $options: TaskOptions) {
  processData(input: $input, options: $options) {
    __typename id kind status cursor delivery attempt maxAttempts priority timeoutS createdAt runAt deadline publishedAt
    input { data iterations } result { totalProcessed } inputJson resultJson error { code }
    progress { current total percent message } timeline { status at attempt by reason error { code } cursor }
  }
}
"""
SUBMIT = """
mutation ($kind: String!, $input: JSON!, $options: TaskOptions) {
  submitTask(kind: $kind, input: $input, options: $options) {
    __typename id status ... on ProcessDataTask { input { iterations } }
  }
}
"""
DATA = {"data": "hello"}


class SlowPublisher:
    """Takes a message only when it is let."""

    def __init__(self) -> None:
        self.asked: list[TaskMessage] = []
        self.reached = asyncio.Event()
        self.let = asyncio.Event()

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        self.asked.append(message)
        self.reached.set()
        await self.let.wait()
        return True

    async def check(self) -> None:
        return None


class HeldUpPublisher(SlowPublisher):
    """Takes a message of high priority only when it is let, any other at once."""

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        return priority is not Priority.HIGH or await super().publish(message, priority)


class BrokenPublisher(SlowPublisher):
    """Fails as nobody expects at a message of high priority, and takes any other at once."""

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        if priority is Priority.HIGH:
            raise LookupError("a defect")
        return True


class RefusingPublisher(SlowPublisher):
    """Takes nothing."""

    async def publish(self, message: TaskMessage, priority: Priority) -> bool:
        self.asked.append(message)
        raise PublishFailed("no broker")
