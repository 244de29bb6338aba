"""What one answer is written to: its head waits for the first bytes of its body.

uvicorn writes the two one by one, and uvloop hands each to the kernel at once. A replica that died in between left a
proxy with a head that it had passed on already, so that no other replica could be asked: a small answer comes whole or
not at all.
"""

import asyncio

CONTINUE = b"HTTP/1.1 100 "


class AnswerTransport(asyncio.Transport):
    """A connection's transport as the cycle of one request sees it."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._is_begun = False
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, behind the head where that waits. A head waits to the end of the loop's turn at most."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines([head, data])
        elif self._is_begun or bytes(data[: len(CONTINUE)]) == CONTINUE:
            self._transport.write(data)
        else:
            self._is_begun = True
            self._head = bytes(data)
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write the head if it waits still: its body comes later, or there is none."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection behind what was written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._transport.is_closing()
