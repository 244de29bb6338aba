"""Dead letters: what could not become a running task, sent again or discarded."""

from dataclasses import dataclass
from uuid import UUID

from core.documents import DeadLetter, Task
from core.errors import Conflict, NotFound, Unavailable
from core.messages import PRIORITIES, queue_name
from core.publisher import Publisher, PublishFailed, RabbitPublisher
from gateway.retry import Retrier


@dataclass(frozen=True)
class DeadLetters:
    """The dead letters of all owners, and of messages, which have none."""

    publisher: Publisher
    retrier: Retrier
    namespace: str

    async def find(self, letter_id: UUID) -> DeadLetter:
        """Return the letter. Raises NotFound."""
        letter = await DeadLetter.get(letter_id)
        if letter is None:
            raise NotFound("dead letter", letter_id)
        return letter

    async def resend(self, letter_id: UUID, *, correlation_id: str | None = None) -> Task | None:
        """Send a message to its queue again, or retry the task and return the new one; then drop the letter.

        A message that is still unreadable comes back as a new letter. Raises NotFound, Conflict if it can't be sent
        again, and Unavailable if RabbitMQ does not take it; then the letter stays.
        """
        letter = await self.find(letter_id)
        if letter.task_id is not None:
            return await self.retrier.retry(letter.task_id, visible={}, correlation_id=correlation_id)
        await self._send(letter)
        await letter.delete()
        return None

    async def _send(self, letter: DeadLetter) -> None:
        if not letter.is_complete:
            kept = len(letter.body)
            raise Conflict("id", f"Of this message's {letter.size:,} bytes only {kept:,} are kept; it can't be sent")
        if not isinstance(self.publisher, RabbitPublisher):
            raise Conflict("id", "There is no broker here that this message could be sent to")
        if letter.queue not in {queue_name(self.namespace, priority) for priority in PRIORITIES}:
            raise Conflict("id", "The queue that this message came from is none of this installation")
        try:
            await self.publisher.publish_body(letter.body, letter.queue)
        except PublishFailed as exc:
            raise Unavailable("RabbitMQ") from exc

    async def discard(self, letter_id: UUID) -> None:
        """Drop the letter; the task it is about stays as it is. Raises NotFound."""
        await (await self.find(letter_id)).delete()
