"""nginx as `headway up` and compose configure it: what it lets through, what it refuses, and in which words."""

import contextlib
import gzip
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.transports.limits import EdgeLimits
from stack import services
from stack.process import Child, Guard, free_port
from stack.services import PROJECT
from tests.containers.upstream import FileGateway, gateway

MB = 1024 * 1024


@contextlib.contextmanager
def nginx(folder: Path, guard: Guard, ports: list[int], extra: str = "") -> Iterator[str]:
    """nginx before these gateways; yields its address."""
    program = services.nginx(folder, "127.0.0.1", free_port(), ports)
    (folder / "nginx" / "extra").mkdir()
    (folder / "nginx" / "extra" / "one.conf").write_text(extra, encoding="utf-8")
    child = Child(program, folder / "nginx.log", guard)
    child.start()
    try:
        child.await_ready()
        yield str(program.url)
    finally:
        child.stop()


@pytest.fixture
def edge(tmp_path: Path, process_guard: Guard) -> Iterator[str]:
    """nginx before one gateway."""
    with gateway() as port, nginx(tmp_path, process_guard, [port]) as url:
        yield url


def error_code(answer: httpx.Response) -> str:
    """Return the code of the one GraphQL error that this is."""
    assert answer.headers["content-type"] == "application/json"
    return str(answer.json()["errors"][0]["extensions"]["code"])


def test_beyond_the_rate_and_its_burst_one_is_told_when_to_come_again(edge: str) -> None:
    port = httpx.URL(edge).port or 0
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(6)]
        for connection in connections:
            connection.sendall(b"GET /graphql HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        answers = [answer for connection in connections for answer in read_answers(connection, 100)]
    passed = [head for head, _ in answers if head.startswith("HTTP/1.1 200")]
    refused = [(head, body) for head, body in answers if head.startswith("HTTP/1.1 429")]
    assert len(passed) + len(refused) == 600
    assert len(passed) >= 201
    assert refused, "600 at once were all let in"
    for head, body in refused:
        assert "\r\nRetry-After: 1" in head
        assert "\r\nX-Request-Id: " in head
        assert json.loads(body)["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


def read_answers(connection: socket.socket, count: int) -> list[tuple[str, bytes]]:
    """Return so many answers, head and body, of those that come on one connection."""
    answers = []
    with connection.makefile("rb") as stream:
        for _ in range(count):
            head = b"".join(iter(stream.readline, b"\r\n")).decode()
            size = re.search(r"^Content-Length: (\d+)", head, re.MULTILINE | re.IGNORECASE)
            assert size is not None, head
            answers.append((head, stream.read(int(size[1]))))
    return answers


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/graphql", EdgeLimits.model_fields["max_body_bytes"].default, 200),
        ("/graphql", EdgeLimits.model_fields["max_body_bytes"].default + 1, 413),
        ("/imports/content", EdgeLimits.model_fields["max_import_bytes"].default, 200),
        ("/imports/content", EdgeLimits.model_fields["max_import_bytes"].default + 1, 413),
    ],
)
def test_bodies_are_let_in_up_to_the_gateways_own_limits(edge: str, path: str, size: int, status: int) -> None:
    answer = httpx.post(edge + path, content=b" " * size, timeout=30)
    assert answer.status_code == status
    assert status == 200 or error_code(answer) == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize("path", ["/metrics", "//metrics", "/./metrics", "/%6detrics", "/metrics?x=1", "/a/../metrics"])
def test_metrics_are_not_served_to_the_outside(edge: str, path: str) -> None:
    with socket.create_connection(("127.0.0.1", httpx.URL(edge).port or 0), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = connection.recv(100).decode()
    assert head.startswith("HTTP/1.1 404")


def test_health_passes_with_the_clients_address_and_one_correlation_id(edge: str) -> None:
    given = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "from-the-client"}
    told = httpx.get(f"{edge}/health", headers=given).json()
    assert told["x-forwarded-for"] == "127.0.0.1"
    assert told["x-request-id"] == "from-the-client"
    made = httpx.get(f"{edge}/health", headers={"X-Request-Id": 'a "forged" line'}).json()["x-request-id"]
    assert len(made) == 32


@pytest.mark.parametrize(("offered", "passed"), [("WebSocket", "upgrade"), ("h2c", None), ("h2c, websocket", None)])
def test_of_other_protocols_a_gateway_is_offered_websocket_alone(edge: str, offered: str, passed: str | None) -> None:
    told = httpx.get(f"{edge}/graphql", headers={"Connection": "upgrade", "Upgrade": offered}).json()
    assert told.get("connection") == passed


def test_json_is_compressed(edge: str) -> None:
    with httpx.stream("GET", f"{edge}/graphql", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(b"".join(answer.iter_raw())))["filling"]


def test_file_passes_piece_by_piece_with_its_own_headers(tmp_path: Path, process_guard: Guard) -> None:
    with gateway(handler=FileGateway) as port, nginx(tmp_path, process_guard, [port]) as url:
        with httpx.stream("GET", f"{url}/files/1", headers={"Accept-Encoding": "gzip"}, timeout=5) as answer:
            pieces = answer.iter_raw()
            came = b""
            while len(came) < 3000:  # The rest is not sent before this has come.
                came += next(pieces)
            FileGateway.go_on.set()
            came += b"".join(pieces)
        assert came == b"x" * 6000
        for name, value in FileGateway.HEADERS.items():
            assert answer.headers.get_list(name) == [value]


def test_every_answer_has_security_headers_and_a_page_keeps_its_own(edge: str) -> None:
    api, page, refused = (httpx.get(edge + path).headers for path in ("/graphql", "/page", "/metrics"))
    for headers in (api, refused):
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert page["content-security-policy"] == "default-src 'self'"
    for headers in (api, page, refused):
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-request-id"]
        assert headers["server"] == "nginx"


def test_connections_to_a_gateway_are_kept(edge: str, tmp_path: Path) -> None:
    with httpx.Client(base_url=edge) as client:
        assert all("connection" not in client.get("/graphql").json() for _ in range(3))
    config = (tmp_path / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    assert "keepalive 64;" in config
    assert "worker_connections 10000;" in config


def test_dead_gateways_requests_go_to_another(tmp_path: Path, process_guard: Guard) -> None:
    dead = free_port()
    with gateway() as port, nginx(tmp_path, process_guard, [dead, port]) as url, httpx.Client(base_url=url) as client:
        answers = [client.post("/graphql", json={}) for _ in range(20)]
    assert [answer.json()["port"] for answer in answers] == [port] * 20


def test_what_a_gateway_may_have_begun_is_only_repeated_where_it_changes_nothing(
    tmp_path: Path, process_guard: Guard
) -> None:
    with hangs_up() as (port, asked), nginx(tmp_path, process_guard, [port, port]) as url:
        answer = httpx.post(f"{url}/graphql", json={})
        assert (answer.status_code, error_code(answer), answer.headers["retry-after"]) == (503, "UNAVAILABLE", "1")
        assert len(asked) == 1
        assert httpx.get(f"{url}/graphql").status_code == 503
        assert len(asked) == 3


@contextlib.contextmanager
def hangs_up() -> Iterator[tuple[int, list[bytes]]]:
    """A gateway that dies of every request; yields its port and the requests."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def die_of_each() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    if request := connection.recv(65_536):
                        asked.append(request)

    dying = threading.Thread(target=die_of_each)
    dying.start()
    try:
        yield listener.getsockname()[1], asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        dying.join()


def test_access_log_is_json_with_the_correlation_id(tmp_path: Path, process_guard: Guard) -> None:
    with gateway() as port, nginx(tmp_path, process_guard, [port]) as url:
        httpx.get(f"{url}/graphql?query=secret", headers={"X-Request-Id": "log-1"})
    lines = [json.loads(line) for line in (tmp_path / "nginx.log").read_text("utf-8").splitlines() if line[:1] == "{"]
    line = next(line for line in lines if line["correlation_id"] == "log-1")
    assert (line["client"], line["status"], line["path"]) == ("127.0.0.1", "200", "/graphql")
    assert line["gateway"] == f"127.0.0.1:{port}"
    assert "secret" not in json.dumps(lines)


def test_tls_file_serves_with_a_certificate_and_refuses_old_protocols(tmp_path: Path, process_guard: Guard) -> None:
    certificate, key, port = tmp_path / "certificate", tmp_path / "key", free_port()
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            *files,
            *subject,
        ],
        check=True,
        capture_output=True,
    )
    tls = (PROJECT / "nginx" / "tls.conf").read_text(encoding="utf-8").replace("8443", f"127.0.0.1:{port}")
    tls = tls.replace("/run/secrets/tls_certificate", str(certificate)).replace("/run/secrets/tls_key", str(key))
    trusting = ssl.create_default_context(cafile=str(certificate))
    with gateway() as behind, nginx(tmp_path, process_guard, [behind], tls) as url:
        answer = httpx.get(f"https://localhost:{port}/graphql", verify=trusting)
        assert answer.json()["x-forwarded-proto"] == "https"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert answer.headers["content-security-policy"]
        assert httpx.get(f"{url}/graphql").json()["x-forwarded-proto"] == "http"
        old = ssl.create_default_context(cafile=str(certificate))
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://localhost:{port}/graphql", verify=old)
