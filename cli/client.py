"""A client of Headway's public API: GraphQL over HTTP, and graphql-transport-ws for subscriptions.

ApiError
├── Unreachable     nobody answers at the address, or not as Headway would
└── Refused         the server answered with GraphQL errors; `code` is the first one's extensions.code
"""

import asyncio
import ipaddress
import itertools
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("graphql-transport-ws")
REQUEST_TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 120.0
ACK_TIMEOUT_S = 10.0
CREDENTIAL = "HEADWAY_TOKEN"
"""The environment's name for the API key or token; an option would show it to whoever lists processes."""
FATAL_CLOSE_CODES = range(4400, 4500)
"""graphql-transport-ws closes with these when the client is at fault: coming back would change nothing."""


class ApiError(Exception):
    """An error with one line for whoever typed the command."""


class Unreachable(ApiError):
    """Nobody answers at the address, or not as Headway would."""


class Refused(ApiError):
    """The server said no."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        first = errors[0] if errors else {}
        self.code = str(first.get("extensions", {}).get("code", "UNKNOWN"))
        super().__init__(f"{self.code}: {first.get('message', 'no message')}")


class ApiClient:
    """Speaks to the Headway at `url`, such as http://127.0.0.1:8000, as whom `credential` (a key or token) says."""

    def __init__(self, url: str, credential: str | None = None) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(f"expected an address such as http://127.0.0.1:8000, got {url!r}")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/graphql')}"
        self._through_proxy = not is_local(parts.hostname)
        self._authorization = {"authorization": f"Bearer {credential}"} if credential else {}

    async def execute(
        self, query: str, variables: Mapping[str, Any], *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> dict[str, Any]:
        """Run a query or mutation and return its data. Raises Unreachable or Refused."""
        body = orjson.dumps({"query": query, "variables": variables})
        response = await self._post("/graphql", body, "application/json", timeout_s)
        answer = self._answer_of(response)
        if not isinstance(answer.get("data"), dict):
            raise self._not_headway(f"status {response.status_code}, no data")
        return dict(answer["data"])

    async def upload(self, path: str, content: bytes, media_type: str) -> str:
        """Send a file and return its content id. Raises Unreachable or Refused."""
        response = await self._post(path, content, media_type, UPLOAD_TIMEOUT_S)
        answer = self._answer_of(response)
        if "contentId" not in answer:
            raise self._not_headway(f"status {response.status_code}, no content id")
        return str(answer["contentId"])

    async def download(self, path: str, file: Path) -> None:
        """Write what the server has at `path` to `file`, which is there once it is whole, and not before.

        Raises Unreachable or Refused, and OSError where the file can't be written.
        """
        part = file.with_name(f"{file.name}.part")
        try:
            async with (
                httpx.AsyncClient(timeout=REQUEST_TIMEOUT_S, trust_env=self._through_proxy) as http,
                http.stream("GET", f"{self.url}{path}", headers=self._authorization) as response,
            ):
                if response.status_code != 200:
                    await response.aread()
                    self._answer_of(response)
                    raise self._not_headway(f"status {response.status_code}, no file")
                with await asyncio.to_thread(part.open, "wb") as out:
                    async for piece in response.aiter_bytes():
                        out.write(piece)
            part.replace(file)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Unreachable(f"{self.url} broke off the file ({_reason(exc)})") from exc
        finally:
            part.unlink(missing_ok=True)

    async def _post(self, path: str, body: bytes, media_type: str, timeout_s: float) -> httpx.Response:
        accept = "application/graphql-response+json, application/json"
        headers = {"content-type": media_type, "accept": accept, **self._authorization}
        try:
            async with httpx.AsyncClient(timeout=timeout_s, trust_env=self._through_proxy) as http:
                return await http.post(f"{self.url}{path}", content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Unreachable(f"{self.url} does not answer ({_reason(exc)}); is `headway up` running?") from exc

    def _answer_of(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = orjson.loads(response.content)
        except orjson.JSONDecodeError as exc:
            raise self._not_headway(f"status {response.status_code}, not JSON") from exc
        if not isinstance(answer, dict):
            raise self._not_headway(f"status {response.status_code}, not a GraphQL response")
        if answer.get("errors"):
            raise Refused(answer["errors"])
        return answer

    async def subscribe(self, query: str, variables: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the data of each event until the server completes. Raises Unreachable (also mid-way) or Refused."""
        address = self.url.replace("http", "ws", 1) + "/graphql"
        try:
            async with connect(
                address, subprotocols=[PROTOCOL], proxy=True if self._through_proxy else None, max_size=None
            ) as socket:
                await self._begin(socket, query, variables)
                async for data in self._events(socket):
                    yield data
        except ConnectionClosed as exc:
            closed = exc.rcvd
            if closed is not None and closed.code in FATAL_CLOSE_CODES:
                raise Refused([{"message": closed.reason, "extensions": {"code": f"CLOSED_{closed.code}"}}]) from exc
            raise Unreachable(f"{self.url} closed the connection ({_reason(exc)})") from exc
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as exc:
            raise Unreachable(f"{self.url} does not answer ({_reason(exc)}); is `headway up` running?") from exc

    async def _begin(self, socket: ClientConnection, query: str, variables: Mapping[str, Any]) -> None:
        if socket.subprotocol != PROTOCOL:
            raise self._not_headway(f"it does not speak {PROTOCOL}")
        await _send(socket, {"type": "connection_init", "payload": self._authorization})
        async with asyncio.timeout(ACK_TIMEOUT_S):
            while (frame := await self._receive(socket))["type"] != "connection_ack":
                await _answer_ping(socket, frame)
        await _send(socket, {"id": "1", "type": "subscribe", "payload": {"query": query, "variables": variables}})

    async def _events(self, socket: ClientConnection) -> AsyncGenerator[dict[str, Any], None]:
        while True:
            frame = await self._receive(socket)
            match frame["type"]:
                case "next" if frame["payload"].get("errors"):
                    raise Refused(frame["payload"]["errors"])
                case "next":
                    yield frame["payload"]["data"]
                case "error":
                    raise Refused(frame["payload"])
                case "complete":
                    return
                case _:
                    await _answer_ping(socket, frame)

    async def _receive(self, socket: ClientConnection) -> dict[str, Any]:
        try:
            frame = orjson.loads(await socket.recv())
        except orjson.JSONDecodeError as exc:
            raise self._not_headway("it sent a frame that is not JSON") from exc
        if not isinstance(frame, dict) or "type" not in frame:
            raise self._not_headway("it sent a frame that is none of graphql-transport-ws")
        return frame

    def _not_headway(self, reason: str) -> Unreachable:
        return Unreachable(f"what answers at {self.url} is not Headway: {reason}")


async def _send(socket: ClientConnection, frame: Mapping[str, Any]) -> None:
    await socket.send(orjson.dumps(frame).decode())


async def _answer_ping(socket: ClientConnection, frame: Mapping[str, Any]) -> None:
    if frame["type"] == "ping":
        await _send(socket, {"type": "pong"})


def _reason(exc: Exception) -> str:
    return next(itertools.chain(str(exc).splitlines(), [type(exc).__name__]))[:200]


def is_local(host: str) -> bool:
    """Return whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
