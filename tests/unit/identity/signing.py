"""Keys of every type, made once, and the tokens that they sign."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "https://issuer.example"
AUDIENCE = "headway"
SECRET = "a shared secret that is long enough for HS256 and HS384 and, last, HS512!"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
SMALL_RSA_KEY = rsa.generate_private_key(65537, 1024)
EC_KEYS = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims with changes; None leaves a claim out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 60, "iat": now, "role": "operator"}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def sign(key: PrivateKey | str, algorithm: str, kid: str | None = None, **changes: Any) -> str:
    """Return a token."""
    return jwt.encode(claims(**changes), key, algorithm, {"kid": kid} if kid else None)


def pem(key: PrivateKey) -> str:
    """Return the public half as PEM text."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def forge(header: dict[str, Any], body: dict[str, Any], secret: bytes | None) -> str:
    """Return a token as an attacker makes it: signed with HMAC over whatever bytes, or not at all."""
    text = b".".join(_part(json.dumps(part).encode()) for part in (header, body))
    signature = b"" if secret is None else _part(hmac.new(secret, text, hashlib.sha256).digest())
    return (text + b"." + signature).decode()


def _part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
