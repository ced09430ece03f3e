"""Keys as they sign and check: each bound to its one algorithm."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

RSA_BITS = 3072
Material = OctKey | ECKey | RSAKey | OKPKey


def base64url(plain: bytes) -> str:
    """Return `plain` as tokens spell it. Source: RFC 7515 §2."""
    return base64.urlsafe_b64encode(plain).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its one algorithm.

    `arithmetic` signs and checks by that algorithm and does nothing else; `head` begins every token of this key.
    """

    kid: str
    algorithm: str
    material: Material
    arithmetic: Any
    head: str
    signs_from: datetime | None = None
    retired_at: datetime | None = None

    @classmethod
    def of(cls, kid: str, algorithm: str, material: Material, *times: datetime | None) -> "Key":
        """Bind a key to its algorithm."""
        head = base64url(orjson.dumps({"alg": algorithm, "typ": "at+jwt", "kid": kid}))
        return cls(kid, algorithm, material, JWSRegistry(algorithms=[algorithm]).get_alg(algorithm), head, *times)


def generated(algorithm: str) -> ECKey | RSAKey | OKPKey:
    """Return a new key for `algorithm`."""
    if algorithm == "RS256":
        return RSAKey.generate_key(RSA_BITS)
    return OKPKey.generate_key("Ed25519") if algorithm == "EdDSA" else ECKey.generate_key("P-256")


def imported(algorithm: str, pem: bytes) -> Material:
    """Return the key that was exported as `pem`."""
    return _kind(algorithm).import_key(pem)  # type: ignore[no-any-return]


def published(algorithm: str, jwk: str) -> Material:
    """Return the public half of a key: it checks and can't sign. Source: RFC 7517 §4."""
    return _kind(algorithm).import_key(json.loads(jwk))  # type: ignore[no-any-return]


def _kind(algorithm: str) -> Any:
    return {"RS256": RSAKey, "EdDSA": OKPKey}.get(algorithm, ECKey)
