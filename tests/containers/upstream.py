"""What stands behind nginx in its tests: servers that answer as a gateway does, and tell what reached them."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Gateway(BaseHTTPRequestHandler):
    """Answers every request with the headers that it came with; says of a page what a gateway says."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # One packet an answer; two would wait for each other.

    def do_GET(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({**told, "port": self.connection.getsockname()[1], "filling": "x" * 2000}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/page":
            self.send_header("Content-Security-Policy", "default-src 'self'")
            self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class FileGateway(Gateway):
    """Answers with a file as a gateway does; its second half comes when it is asked for."""

    HEADERS = {  # noqa: RUF012  # Nobody changes it.
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Length": "6000",
        "Content-Disposition": 'attachment; filename="items.csv"',
        "ETag": '"1"',
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    go_on = threading.Event()

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        for name, value in self.HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        for _ in range(2):
            self.wfile.write(b"x" * 3000)
            self.wfile.flush()
            self.go_on.wait(10)


@contextlib.contextmanager
def gateway(port: int = 0, handler: type[BaseHTTPRequestHandler] = Gateway) -> Iterator[int]:
    """Serve; yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
