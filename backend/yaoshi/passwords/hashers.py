"""Password hash schemes: one to make, several to recognise.

Whatever is stored is parsed into a Parsed hash first; what can't be parsed, or would cost too much to try, is not
usable, and nobody signs in with it.
"""

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import bcrypt
from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError
from argon2.low_level import ARGON2_VERSION

from yaoshi.core import random

MOST_PBKDF2_ROUNDS = 5_000_000
MOST_SCRYPT_N, MOST_SCRYPT_NBYTES = 2**17, 128 * 1024 * 1024
MOST_ARGON2_KIB, MOST_ARGON2_ITERATIONS, MOST_ARGON2_LANES = 262_144, 20, 16
MOST_BCRYPT_ROUNDS, BCRYPT_NBYTES = 15, 72
_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# 22 characters carry 128 bits of salt, so that the last one can only be one of four; bcrypt raises on any other.
_LAST_OF_SALT = ".Oeu"
_BCRYPT = re.compile(rf"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{{21}}[{_LAST_OF_SALT}][./A-Za-z0-9]{{31}}", re.ASCII)
_NUMBER = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_ARGON2 = re.compile(r"\$argon2(id|i|d)\$v=\d+\$m=[1-9]\d*,t=[1-9]\d*,p=[1-9]\d*(\$[A-Za-z0-9+/]+){2}", re.ASCII)
_ARGON2_NAMES = {Type.ID: "argon2id", Type.I: "argon2i", Type.D: "argon2d"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a hash of ours costs. Source: OWASP Password Storage Cheat Sheet, Argon2id."""

    memory_kib: int = 19456
    iterations: int = 2
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Parsed:
    """A stored hash that can be tried: its recipe, and the check of a password's bytes against it.

    The recipe names scheme and cost without salt and digest; `like` makes another hash of this recipe that no
    password fits.
    """

    recipe: str
    fits: Callable[[bytes], bool]
    like: Callable[[], str]


class Hashers:
    """Makes Argon2id hashes; checks those of Argon2, bcrypt, Werkzeug and Django."""

    def __init__(self, cost: Cost) -> None:
        self._argon2 = PasswordHasher(cost.iterations, cost.memory_kib, cost.lanes)
        self._recipe = f"argon2id$m={cost.memory_kib},t={cost.iterations},p={cost.lanes}"

    def hash(self, plain: str) -> str:
        """Return the Argon2id hash of `plain` in NFC; nothing else is folded and nothing is cut. Source: RFC 9106."""
        return self._argon2.hash(_nfc(plain))

    def verify(self, stored: str | None, plain: str) -> bool:
        """Return whether `plain` is the password of `stored`; never raises, whatever is stored."""
        parsed = parse(stored)
        if parsed is None:
            return False
        folded = _nfc(plain)
        if parsed.fits(folded):
            return True
        raw = plain.encode()
        # Imported hashes were made over the text as it was typed.
        return parsed.recipe != self._recipe and raw != folded and parsed.fits(raw)

    def needs_rehash(self, stored: str | None) -> bool:
        """Return whether `stored` is of another scheme or cost than hashes are made of today."""
        parsed = parse(stored)
        return parsed is None or parsed.recipe != self._recipe

    def recipe(self, stored: str | None) -> str | None:
        """Return the scheme and cost of `stored`; None when it is not usable."""
        parsed = parse(stored)
        return parsed.recipe if parsed else None

    def decoy(self, like: str | None = None) -> str:
        """Return a hash that no password fits, at the price of the hash `like`; by default at today's."""
        parsed = parse(like)
        return parsed.like() if parsed else self._argon2.hash(random.nbytes(32))


@lru_cache(maxsize=32)  # one check asks three times about the same hash
def parse(stored: str | None) -> Parsed | None:
    """Return `stored` ready to be tried; None for a missing, unknown, damaged or too costly one."""
    if not stored:
        return None
    try:
        for read in (_argon2_hash, _bcrypt_hash, _werkzeug, _django):
            parsed = read(stored)
            if parsed:
                return parsed
    except (ValueError, binascii.Error, InvalidHashError, OverflowError):
        pass
    return None


def _nfc(plain: str) -> bytes:
    return unicodedata.normalize("NFC", plain).encode()


def _argon2_hash(stored: str) -> Parsed | None:
    if not _ARGON2.fullmatch(stored):
        return None
    cost = extract_parameters(stored)
    bounds = (MOST_ARGON2_KIB, MOST_ARGON2_ITERATIONS, MOST_ARGON2_LANES)
    asked = (cost.memory_cost, cost.time_cost, cost.parallelism)
    if any(one > most for one, most in zip(asked, bounds, strict=True)) or cost.version != ARGON2_VERSION:
        return None
    # Less memory than this Argon2 refuses to work with. Source: RFC 9106 §3.1.
    if cost.memory_cost < 8 * cost.parallelism:
        return None
    # A damaged salt or digest must be found now, not when somebody signs in.
    salt, digest = (base64.b64decode(part + "=" * (-len(part) % 4), validate=True) for part in stored.split("$")[-2:])
    if len(salt) < 8 or len(digest) < 16:
        return None
    hasher = PasswordHasher(cost.time_cost, cost.memory_cost, cost.parallelism, len(digest), len(salt), type=cost.type)

    def fits(plain: bytes) -> bool:
        try:
            return hasher.verify(stored, plain)
        except Argon2Error:
            return False

    def like() -> str:
        parts = stored.split("$")[:-2]
        return "$".join((*parts, _b64(random.nbytes(len(salt))), _b64(random.nbytes(len(digest)))))

    return Parsed("{}$m={},t={},p={}".format(_ARGON2_NAMES[cost.type], *asked), fits, like)


def _bcrypt_hash(
    stored: str, prefix: str = "", prepare: Callable[[bytes], bytes] = lambda plain: plain
) -> Parsed | None:
    found = _BCRYPT.fullmatch(stored)
    if not found or not 4 <= int(found[1]) <= MOST_BCRYPT_ROUNDS:
        return None

    def fits(plain: bytes) -> bool:
        # The old schemes cut here too; bcrypt 5 raises instead.
        return bcrypt.checkpw(prepare(plain)[:BCRYPT_NBYTES], stored.encode())

    def like() -> str:
        salt, last, digest = random.nbytes(21), random.between(0, 3), random.nbytes(31)
        return prefix + stored[:7] + _bcrypt64(salt) + _LAST_OF_SALT[last] + _bcrypt64(digest)

    return Parsed(f"{prefix}bcrypt${found[1]}", fits, like)


def _bcrypt64(raw: bytes) -> str:
    return "".join(_ALPHABET[byte % 64] for byte in raw)


def _werkzeug(stored: str) -> Parsed | None:
    """Source: werkzeug.security.generate_password_hash."""
    method, _, rest = stored.partition("$")
    salt, _, digest = rest.partition("$")
    name, *arguments = method.split(":")
    expected = bytes.fromhex(digest) if re.fullmatch(r"[0-9a-f]+", digest) else b""
    if name not in ("scrypt", "pbkdf2") or not salt or not all(map(_NUMBER.fullmatch, arguments[name == "pbkdf2" :])):
        return None
    if name == "scrypt":
        n, r, p = map(int, arguments or ("32768", "8", "1"))
        derive, length = _scrypt(salt.encode(), n, r, p), 64
    else:
        algorithm, rounds = arguments if len(arguments) == 2 else (*arguments, "1000000")
        derive, length = _pbkdf2(algorithm, salt.encode(), int(rounds))
    if len(expected) != length:
        return None
    made = lambda: f"{method}${random.token(12)}${random.nbytes(length).hex()}"  # noqa: E731  # one line says it
    return Parsed(method, lambda plain: hmac.compare_digest(derive(plain), expected), made)


def _django(stored: str) -> Parsed | None:
    """Source: django.contrib.auth.hashers."""
    scheme, _, rest = stored.partition("$")
    match scheme:
        case "argon2":
            inner = _argon2_hash("$" + rest)
            return inner and Parsed(f"django {inner.recipe}", inner.fits, lambda: "argon2" + inner.like())
        case "bcrypt":
            return _bcrypt_hash(rest, "bcrypt$")
        case "bcrypt_sha256":
            return _bcrypt_hash(rest, "bcrypt_sha256$", lambda plain: binascii.hexlify(hashlib.sha256(plain).digest()))
        case "pbkdf2_sha256" | "pbkdf2_sha1":
            rounds, salt, digest = rest.split("$")
            derive, length = _pbkdf2(scheme.removeprefix("pbkdf2_"), salt.encode(), _count(rounds))
            return _base64_hash(f"{scheme}${rounds}", f"{scheme}${rounds}${{salt}}${{digest}}", derive, digest, length)
        case "scrypt":
            salt, n, r, p, digest = rest.split("$")
            derive = _scrypt(salt.encode(), *map(_count, (n, r, p)))
            return _base64_hash(f"scrypt {n}:{r}:{p}", f"scrypt${{salt}}${n}${r}${p}${{digest}}", derive, digest, 64)
    return None


def _base64_hash(recipe: str, form: str, derive: Callable[[bytes], bytes], digest: str, length: int) -> Parsed | None:
    expected = base64.b64decode(digest, validate=True)
    if len(expected) != length:
        return None

    def like() -> str:
        return form.format(salt=random.token(16), digest=base64.b64encode(random.nbytes(length)).decode())

    return Parsed(recipe, lambda plain: hmac.compare_digest(derive(plain), expected), like)


def _pbkdf2(algorithm: str, salt: bytes, rounds: int) -> tuple[Callable[[bytes], bytes], int]:
    if algorithm not in ("sha1", "sha256", "sha512") or not 0 < rounds <= MOST_PBKDF2_ROUNDS:
        raise ValueError("refused")
    length = hashlib.new(algorithm).digest_size
    return lambda plain: hashlib.pbkdf2_hmac(algorithm, plain, salt, rounds), length


def _scrypt(salt: bytes, n: int, r: int, p: int) -> Callable[[bytes], bytes]:
    # N must be a power of two below 2^(16 r). Source: RFC 7914 §2.
    if n < 2 or n & (n - 1) or n > MOST_SCRYPT_N or n >= 2 ** (16 * min(r, 2)):
        raise ValueError("refused")
    if 128 * n * r * p > MOST_SCRYPT_NBYTES:
        raise ValueError("refused")
    return lambda plain: hashlib.scrypt(plain, salt=salt, n=n, r=r, p=p, maxmem=132 * n * r * p + 2**20, dklen=64)


def _count(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError("refused")
    return int(text)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()
