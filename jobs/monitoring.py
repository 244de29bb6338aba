"""The one port of a bridge or a worker: `/metrics`, and `/livez` for whoever restarts what is stuck.

It is opened when all connections are, and knows nothing of services afterwards; so `/readyz` says the same as `/livez`.
A thread answers, so that the numbers can be had of a process whose event loop is stuck.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import TimeoutError as AnswerTimeout
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import make_wsgi_app, start_http_server

from core.alive import ANSWER_WITHIN_S
from core.errors import StartupError
from core.settings import Settings


def serve_metrics(settings: Settings) -> None:
    """Listen until the process ends. Call it on the event loop, once all is open. Raises StartupError."""
    try:
        server, _ = start_http_server(settings.metrics_port, settings.host)
    except OSError as exc:
        raise StartupError(f"metrics port {settings.metrics_port} of {settings.host} can't be had: {exc}") from exc
    server.set_app(_application(asyncio.get_running_loop()))


def _application(loop: asyncio.AbstractEventLoop) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app()

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start_response)
            case "/livez" | "/readyz":
                status, body = ("200 OK", b"alive\n") if _turns(loop) else ("503 Service Unavailable", b"stuck\n")
            case _:
                status, body = "404 Not Found", b"not found\n"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def _turns(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether the loop, asked from another thread, does something within three seconds."""
    turn = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop)
    try:
        turn.result(ANSWER_WITHIN_S)
    except AnswerTimeout:
        turn.cancel()
        return False
    return True
