"""Short questions that show whether a server is ready: each makes one attempt and never raises."""

import socket
from http.client import HTTPConnection, HTTPException

from pymongo import MongoClient
from pymongo.errors import PyMongoError

ATTEMPT_S = 1.0
AMQP_0_9_1 = b"AMQP\x00\x00\x09\x01"
CONNECTION_START = b"\x00\x0a\x00\x0a"


def _ask(port: int, question: bytes, at_most: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), ATTEMPT_S) as connection:
            connection.settimeout(ATTEMPT_S)
            if question:
                connection.sendall(question)
            return connection.recv(at_most)
    except OSError:
        return b""


def port_is_open(port: int) -> bool:
    """Return whether anything accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), ATTEMPT_S).close()
    except OSError:
        return False
    return True


def redis_answers(port: int) -> bool:
    """Return whether PING is answered: a server that still loads its data says LOADING instead."""
    return _ask(port, b"PING\r\n", 16).startswith(b"+PONG")


def amqp_answers(port: int) -> bool:
    """Return whether a broker opens the AMQP 0-9-1 handshake (Connection.Start, class 10 method 10)."""
    return _ask(port, AMQP_0_9_1, 64)[7:11] == CONNECTION_START


def mongo_answers(port: int) -> bool:
    """Return whether a MongoDB-protocol server answers a ping."""
    if not port_is_open(port):
        return False
    timeout_ms = int(ATTEMPT_S * 1000)
    client: MongoClient[dict[str, object]] = MongoClient(
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=timeout_ms, socketTimeoutMS=timeout_ms
    )
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    finally:
        client.close()
    return True


def http_ok(port: int, path: str) -> bool:
    """Return whether GET answers 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=ATTEMPT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
