"""Keys derived from SECRET_KEY, and sealing of what the database must not show."""

import hmac
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from yaoshi.core import random

_NONCE_NBYTES = 12


class Unsealable(Exception):
    """The sealed bytes were made with another SECRET_KEY, or were altered."""


class SecretBox:
    """Gives every purpose a key of its own, all from one SECRET_KEY. Nothing derived is ever stored."""

    def __init__(self, secret_key: str) -> None:
        self._root = secret_key.encode()
        self._keys: dict[str, bytes] = {}

    def key(self, purpose: str) -> bytes:
        """Return 32 bytes that only `purpose` uses. Source: RFC 5869."""
        if purpose not in self._keys:
            self._keys[purpose] = HKDF(SHA256(), 32, salt=b"yaoshi", info=purpose.encode()).derive(self._root)
        return self._keys[purpose]

    def digest(self, purpose: str, *parts: str) -> str:
        """Return the hex HMAC-SHA256 of `parts` under the key of `purpose`; parts can't run into each other."""
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return hmac.new(self.key(purpose), message, sha256).hexdigest()

    def seal(self, purpose: str, plain: bytes) -> bytes:
        """Return `plain` under AES-256-GCM, nonce first. Source: NIST SP 800-38D."""
        nonce = random.nbytes(_NONCE_NBYTES)
        return nonce + AESGCM(self.key(purpose)).encrypt(nonce, plain, purpose.encode())

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """Return what `seal` hid. Raises Unsealable."""
        try:
            return AESGCM(self.key(purpose)).decrypt(sealed[:_NONCE_NBYTES], sealed[_NONCE_NBYTES:], purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise Unsealable(purpose) from error
