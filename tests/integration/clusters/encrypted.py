"""MongoDB's place, Redis, a Sentinel and RabbitMQ on this machine, none of which speaks without TLS."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from stack import services
from stack.probes import port_is_open
from stack.process import Child, Guard, Program, free_port
from stack.services import ServerNotFound, found

PASSWORD = "hush"
MASTER = "headway"
SENTINEL = """\
bind 127.0.0.1
port 0
tls-port {port}
tls-replication yes
tls-cert-file {certificate}
tls-key-file {key}
tls-ca-cert-file {ca}
tls-auth-clients no
dir {folder}
sentinel monitor {master} 127.0.0.1 {master_port} 1
sentinel auth-pass {master} {password}
"""
RABBITMQ = """\
listeners.tcp = none
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.cacertfile = {ca}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""


@dataclass(frozen=True)
class Papers:
    """Files in PEM: the CA of all, and certificates and keys of the servers and of a client, its both in one too."""

    ca: str
    server: str
    server_key: str
    client: str
    client_key: str
    client_both: str


@dataclass(frozen=True)
class Encrypted:
    """What runs. MongoDB, RabbitMQ and the Redis of `strict_redis_url` want certificates of their clients."""

    papers: Papers
    mongo_url: str
    amqp_url: str
    strict_redis_url: str
    sentinel_url: str

    @property
    def amqp_url_with_papers(self) -> str:
        """RabbitMQ's, with a client's certificate."""
        return f"{self.amqp_url}?certfile={self.papers.client}&keyfile={self.papers.client_key}"

    @property
    def mongo_url_with_papers(self) -> str:
        """MongoDB's, with a client's certificate."""
        return f"{self.mongo_url}&tlsCertificateKeyFile={self.papers.client_both}"

    @property
    def redis_url_with_papers(self) -> str:
        """That of the Redis that wants a client's certificate, with one."""
        return f"{self.strict_redis_url}?ssl_certfile={self.papers.client}&ssl_keyfile={self.papers.client_key}"


def draw_papers(folder: Path) -> Papers:
    """Write a CA's certificate, and those that it signs: of 127.0.0.1, and of a client."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    files = [folder / f"{name}.pem" for name in ("ca", "server", "server-key", "client", "client-key", "client-both")]
    certificate, key = _client(authority)
    contents = [authority.cert_pem.bytes(), server.cert_chain_pems[0].bytes(), server.private_key_pem.bytes()]
    for file, content in zip(files, [*contents, certificate, key, key + certificate], strict=True):
        file.write_bytes(content)
    return Papers(*map(str, files))


def _client(authority: trustme.CA) -> tuple[bytes, bytes]:
    """Return a certificate and its key: Erlang refuses trustme's own of a client, whose usage is marked as critical."""
    own = ec.generate_private_key(ec.SECP256R1())
    signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")]))
        .issuer_name(x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    key = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), key


@contextmanager
def encrypted_servers(folder: Path, guard: Guard) -> Iterator[Encrypted]:
    """Run them in a folder of its own; at the end nothing is left. Raises ServerNotFound."""
    papers = draw_papers(folder)
    database, master = mongodb(folder, papers), _redis(folder / "master", papers, "no")
    strict, sentinel = _redis(folder / "strict", papers, "yes"), _sentinel(folder / "sentinel", papers, master)
    mapper, rabbitmq = _rabbitmq(folder, papers)
    programs = [mapper, rabbitmq, database, master, strict, sentinel]
    children = [Child(each, folder / "logs" / f"{number}.log", guard) for number, each in enumerate(programs)]
    try:
        for child in children:
            child.start()
        for child in children:
            child.await_ready()
        yield Encrypted(
            papers,
            f"mongodb://127.0.0.1:{database.port}/?directConnection=true&tls=true",
            f"amqps://guest:guest@127.0.0.1:{rabbitmq.port}/",
            f"rediss://:{PASSWORD}@127.0.0.1:{strict.port}/0",
            f"rediss+sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}/{MASTER}/0",
        )
    finally:
        for child in reversed(children):
            child.stop(20)


def _opened(program: Program, *argv: str) -> Program:
    """Return a program that is ready when its port is open: the usual questions are asked without TLS."""
    assert program.port is not None
    port = program.port
    return replace(program, argv=(*program.argv, *argv), ready=lambda: port_is_open(port))


def mongodb(folder: Path, papers: Papers) -> Program:
    """Return MongoDB's place, which wants certificates of its clients."""
    own = ("--tls-cert-file", papers.server, "--tls-key-file", papers.server_key, "--tls-ca-file", papers.ca)
    return _opened(services.mongodb(folder, free_port()), *own, "--tls-require-client-cert")


def _redis(folder: Path, papers: Papers, wants_papers: str) -> Program:
    server = found("redis-server")  # The one from PyPI is built without TLS.
    if server is None:
        raise ServerNotFound("no redis-server here: install the package redis-server")
    port, own = free_port(), folder / "redis"
    own.mkdir(parents=True)
    options = {
        "bind": "127.0.0.1",
        "port": "0",
        "tls-port": f"{port}",
        "tls-cert-file": papers.server,
        "tls-key-file": papers.server_key,
        "tls-ca-cert-file": papers.ca,
        "tls-auth-clients": wants_papers,
        "requirepass": PASSWORD,
        "save": "",
        "dir": f"{own}",
    }
    argv = (str(server), *(word for name, value in options.items() for word in (f"--{name}", value)))
    return Program("redis", argv, ready=lambda: port_is_open(port), port=port, cwd=own)


def _sentinel(folder: Path, papers: Papers, master: Program) -> Program:
    port = free_port()
    folder.mkdir(parents=True)
    config = folder / "sentinel.conf"
    files = {"certificate": papers.server, "key": papers.server_key, "ca": papers.ca}
    values = {**files, "port": port, "folder": folder, "master": MASTER, "master_port": master.port}
    config.write_text(SENTINEL.format(password=PASSWORD, **values), encoding="utf-8")
    argv = (master.argv[0], str(config), "--sentinel")
    return Program("sentinel", argv, ready=lambda: port_is_open(port), port=port, cwd=folder)


def _rabbitmq(folder: Path, papers: Papers) -> tuple[Program, Program]:
    mapper, server = services.rabbitmq(folder, free_port())
    config = folder / "rabbitmq" / "rabbitmq.conf"
    rest = "".join(line for line in config.read_text(encoding="utf-8").splitlines(True) if "listeners" not in line)
    files = {"certificate": papers.server, "key": papers.server_key, "ca": papers.ca}
    config.write_text(RABBITMQ.format(port=server.port, **files) + rest, encoding="utf-8")
    env = {name: value for name, value in server.env.items() if name != "RABBITMQ_NODE_PORT"}
    return mapper, replace(_opened(server), env=env)
