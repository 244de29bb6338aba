"""Which key fits which algorithm: the check that a token can't choose how it is verified."""

from collections.abc import Mapping
from typing import Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

Algorithm = Literal["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
PublicKey = RSAPublicKey | EllipticCurvePublicKey
SECRET_BYTES: Mapping[str, int] = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The least that a secret must have: as much as the hash (RFC 7518 §3.2)."""
MIN_RSA_BITS = 2_048
"""RFC 7518 §3.3."""
_CURVES = {"ES256": SECP256R1, "ES384": SECP384R1, "ES512": SECP521R1}


def fits(key: object, algorithm: str) -> bool:
    """Return whether a public key can verify what is signed with this algorithm; a shared secret never is one."""
    if isinstance(key, RSAPublicKey):
        return algorithm.startswith("RS") and key.key_size >= MIN_RSA_BITS
    if isinstance(key, EllipticCurvePublicKey):
        return algorithm in _CURVES and isinstance(key.curve, _CURVES[algorithm])
    return False


def load_public_key(pem: str) -> PublicKey:
    """Return the key that PEM text holds. Raises ValueError, whose message holds nothing of the text."""
    if "PRIVATE KEY" in pem:
        raise ValueError("expected a public key, got a private one")
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise ValueError("expected a public key in PEM") from exc
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        raise ValueError("expected an RSA or EC key")  # noqa: TRY004  # Pydantic asks for a ValueError.
    return key
