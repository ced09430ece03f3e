"""The only place that draws randomness."""

import random
import secrets
import uuid
from datetime import datetime


def token(nbytes: int = 32) -> str:
    """Return an unguessable URL-safe string carrying `nbytes` bytes of entropy."""
    return secrets.token_urlsafe(nbytes)


def nbytes(count: int) -> bytes:
    """Return `count` random bytes."""
    return secrets.token_bytes(count)


def digits(length: int) -> str:
    """Return `length` uniformly drawn decimal digits, leading zeros included."""
    return f"{secrets.randbelow(10**length):0{length}d}"


def text(length: int, alphabet: str) -> str:
    """Return `length` characters of `alphabet`, uniformly drawn."""
    return "".join(secrets.choice(alphabet) for _ in range(length))


def between(low: int, high: int) -> int:
    """Return a uniformly drawn whole number, both ends included."""
    return low + secrets.randbelow(high - low + 1)


def fraction() -> float:
    """Return a number from 0 up to 1 that nobody need be unable to guess; unlike the others it asks no system call."""
    return random.random()  # noqa: S311


def new_id(now: datetime) -> uuid.UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, then 74 random bits. Source: RFC 9562 §5.7."""
    millis = int(now.timestamp() * 1000)
    drawn = secrets.randbits(74)
    value = millis << 80 | 0x7 << 76 | drawn >> 62 << 64 | 0b10 << 62 | drawn & (1 << 62) - 1
    return uuid.UUID(int=value)
