"""Keys derived from the installation's secret, and sealing of what the database must not show."""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from yaoshi.core import random

_NONCE_NBYTES = 12


class Unsealable(Exception):
    """The sealed bytes were made with a secret that is not ours, or were altered."""


class SecretBox:
    """Gives every purpose a key of its own, all from one secret. Nothing derived is ever stored.

    Of several secrets the first, the newest, seals and digests; what an older one made is still opened and known.
    """

    def __init__(self, newest: str, *older: str) -> None:
        self._roots = [secret.encode() for secret in (newest, *older)]
        self._keys: dict[str, list[bytes]] = {}

    def digest(self, purpose: str, *parts: str) -> str:
        """Return the hex HMAC-SHA256 of `parts` under the key of `purpose`; parts can't run into each other."""
        return _digest(self._keys_of(purpose)[0], parts)

    def knows(self, digest: str, purpose: str, *parts: str, length: int = 64) -> bool:
        """Return whether `digest` is that of `parts`, cut to `length`, under any secret; the time tells nothing."""
        return any([hmac.compare_digest(digest, _digest(key, parts)[:length]) for key in self._keys_of(purpose)])

    def seal(self, purpose: str, plain: bytes) -> bytes:
        """Return `plain` under AES-256-GCM, nonce first. Source: NIST SP 800-38D."""
        nonce = random.nbytes(_NONCE_NBYTES)
        return nonce + AESGCM(self._keys_of(purpose)[0]).encrypt(nonce, plain, purpose.encode())

    def unseal(self, purpose: str, sealed: bytes) -> bytes:
        """Return what `seal` hid. Raises Unsealable."""
        return self.unsealed(purpose, sealed)[0]

    def unsealed(self, purpose: str, sealed: bytes) -> tuple[bytes, bool]:
        """Return what `seal` hid, and whether the newest secret hid it. Raises Unsealable."""
        for age, key in enumerate(self._keys_of(purpose)):
            try:
                plain = AESGCM(key).decrypt(sealed[:_NONCE_NBYTES], sealed[_NONCE_NBYTES:], purpose.encode())
            except (InvalidTag, ValueError):
                continue
            return plain, age == 0
        raise Unsealable(purpose)

    def _keys_of(self, purpose: str) -> list[bytes]:
        """Return 32 bytes from each secret that only `purpose` uses, newest first. Source: RFC 5869."""
        if purpose not in self._keys:
            info = purpose.encode()
            self._keys[purpose] = [HKDF(SHA256(), 32, salt=b"yaoshi", info=info).derive(root) for root in self._roots]
        return self._keys[purpose]


def _digest(key: bytes, parts: tuple[str, ...]) -> str:
    message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return hmac.digest(key, message, "sha256").hex()
