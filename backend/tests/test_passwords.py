"""Passwords: judged by one rule, made by one scheme, checked by several, hashed in a bounded place."""

import hashlib
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial

import bcrypt
import pytest
from argon2 import PasswordHasher, Type
from werkzeug.security import generate_password_hash

from conftest import World
from yaoshi.core.errors import Overloaded
from yaoshi.core.phrases import FAULTS
from yaoshi.core.types import Caller
from yaoshi.passwords.hashers import Cost, Hashers
from yaoshi.passwords.policy import commonest, judge
from yaoshi.passwords.pool import HashPool

PLAIN = " Sécret12 密码 "
RAW = unicodedata.normalize("NFD", PLAIN)
HASHERS = Hashers(Cost(64, 1, 1))
WERKZEUG = ("scrypt:1024:8:1", "pbkdf2:sha1:10", "pbkdf2:sha256:10", "pbkdf2:sha512:10")
PRIMITIVES = ((hashlib, "pbkdf2_hmac"), (hashlib, "scrypt"), (bcrypt, "checkpw"), (PasswordHasher, "verify"))


def _bcrypt(plain: str, letter: str = "b") -> str:
    return bcrypt.hashpw(plain.encode()[:72], bcrypt.gensalt(4)).decode().replace("$2b", f"$2{letter}")


def _b64(raw: bytes) -> str:
    return b64encode(raw).decode()


Make = Callable[[str], str]
SCHEMES: dict[str, Make] = {
    **{method: partial(generate_password_hash, method=method) for method in WERKZEUG},
    "scrypt": lambda plain: generate_password_hash(plain).replace("scrypt:32768:8:1", "scrypt", 1),
    "bcrypt$04": _bcrypt,
    "argon2id$m=32,t=1,p=2": PasswordHasher(1, 32, 2).hash,
    "argon2i$m=32,t=1,p=2": PasswordHasher(1, 32, 2, type=Type.I).hash,
    "argon2d$m=32,t=1,p=2": PasswordHasher(1, 32, 2, type=Type.D).hash,
    "pbkdf2_sha256$10": lambda text: "pbkdf2_sha256$10$$" + _b64(hashlib.pbkdf2_hmac("sha256", text.encode(), b"", 10)),
    "pbkdf2_sha1$10": lambda plain: "pbkdf2_sha1$10$s$" + _b64(hashlib.pbkdf2_hmac("sha1", plain.encode(), b"s", 10)),
    "scrypt 16:8:1": lambda plain: "scrypt$s$16$8$1$" + _b64(hashlib.scrypt(plain.encode(), salt=b"s", n=16, r=8, p=1)),
    "django argon2id$m=32,t=1,p=2": lambda plain: "argon2" + PasswordHasher(1, 32, 2).hash(plain),
    "bcrypt$bcrypt$04": lambda plain: "bcrypt$" + _bcrypt(plain),
    "bcrypt_sha256$bcrypt$04": lambda plain: "bcrypt_sha256$" + _bcrypt(hashlib.sha256(plain.encode()).hexdigest()),
}
EVERY = pytest.mark.parametrize(("recipe", "make"), SCHEMES.items(), ids=SCHEMES.keys())


@EVERY
def test_p10_an_imported_hash_is_recognised_and_due_for_a_new_one(recipe: str, make: Make) -> None:
    stored = make(PLAIN)
    assert HASHERS.recipe(stored) == recipe and HASHERS.needs_rehash(stored)
    assert HASHERS.verify(stored, PLAIN) and not HASHERS.verify(stored, PLAIN.strip())
    assert RAW != PLAIN and HASHERS.verify(stored, RAW) and HASHERS.verify(make(RAW), RAW)
    # Argon2's digest may have any length: cut there it can be read, and must not fit.
    cuts = [stored[:-1], stored[:-24], stored[: stored.rindex("$")], stored[: stored.rindex("$") + 1]]
    assert not any(HASHERS.verify(cut, PLAIN) for cut in cuts) and not any(map(HASHERS.recipe, cuts[2:]))


@EVERY
def test_a_decoy_costs_the_same_and_fits_nothing(recipe: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, paid = make(PLAIN), []
    for owner, name in PRIMITIVES:
        real = getattr(owner, name)
        spy = lambda *a, real=real, **k: paid.append([n for n in (*a, *k.values()) if type(n) is int]) or real(*a, **k)  # noqa: E731
        monkeypatch.setattr(owner, name, spy)
    HASHERS.verify(stored, "Wrong1234")
    for _ in range(3):
        decoy = HASHERS.decoy(stored)
        assert HASHERS.recipe(decoy) == recipe and not HASHERS.verify(decoy, "Wrong1234")
    assert len(paid) == 4 and all(price == paid[0] for price in paid)


SALT, DIGEST = _b64(b"s" * 16).rstrip("="), _b64(b"d" * 32).rstrip("=")
UNUSABLE = [
    None, "", "$", "Secret123", "plain$$Secret123", "\0", "\ud800", ("scrypt:32768:8:1$salt$" + "0" * 128)[:128],
    *(method + "$salt$" + "0" * length for method, length in {
        "md5": 32, "sha1": 40, "pbkdf2:md5:10": 32, "pbkdf2:sha256:0": 64, "pbkdf2:sha256:10:7": 64,
        "pbkdf2:sha256:5000001": 64, "pbkdf2:sha256:999999999": 64, "scrypt:1073741824:8:1": 128,
        "scrypt:262144:1:1": 128, "scrypt:131072:8:2": 128, "scrypt:65536:1:1": 128, "scrypt:3:8:1": 128}.items()),
    f"pbkdf2_sha256$5000001$s${DIGEST}=", f"pbkdf2_sha256$٣$s${DIGEST}=", "scrypt$s$1073741824$8$1$" + _b64(b"0" * 64),
    "$2b$16$" + "." * 53, "$2b$03$" + "." * 53, "$2x$04$" + "." * 53, "$2b$04$" + "A" * 53, "$2b$０４$" + "." * 53,
    *(f"{django}$argon2id$v=19${cost}${SALT}${DIGEST}" for django in ("", "argon2") for cost in (
        "m=262145,t=1,p=1", "m=64,t=21,p=1", "m=512,t=1,p=17", "m=8,t=1,p=2", "m=0,t=1,p=1", "m=６4,t=1,p=1")),
]  # fmt: skip


@pytest.mark.parametrize("stored", UNUSABLE, ids=ascii)
def test_p10_the_unusable_is_nobodys_and_costs_nothing(stored: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in PRIMITIVES:
        monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("it was tried"))
    assert HASHERS.recipe(stored) is None and not HASHERS.verify(stored, "Secret123") and HASHERS.needs_rehash(stored)


def test_what_is_made_is_argon2id_of_todays_cost() -> None:
    stored = HASHERS.hash(RAW)
    assert HASHERS.verify(stored, PLAIN) and HASHERS.verify(stored, RAW) and HASHERS.hash(RAW) != stored
    assert HASHERS.recipe(stored) == HASHERS.recipe(HASHERS.decoy()) == "argon2id$m=64,t=1,p=1"
    assert not HASHERS.needs_rehash(stored) and Hashers(Cost(64, 2, 1)).needs_rehash(stored)
    assert Hashers(Cost()).hash("Secret12").startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize("plain", ["Ab1" + "x" * 61, "Ab1" + "x" * 125, "Ab1" + "é" * 253, "Ab1" + "🔑" * 255])
def test_p05_nothing_is_cut_except_by_bcrypt(plain: str) -> None:
    assert HASHERS.verify(stored := HASHERS.hash(plain), plain)
    assert not any(HASHERS.verify(stored, near) for near in (plain[:-1], plain[:72], plain[:128]) if near != plain)
    assert all(HASHERS.verify(_bcrypt(plain, letter), plain + "x" * 72) for letter in "aby" if len(plain) > 72)


@pytest.mark.parametrize("make", [HASHERS.hash, *SCHEMES.values()], ids=["ours", *SCHEMES])
def test_p06_p09_what_follows_a_nul_and_every_blank_count(make: Make) -> None:
    for plain, near in (("Abc12345\0x", "Abc12345"), (" Secret12 ", "Secret12"), ("Secret12 ", "Secret12")):
        assert HASHERS.verify(make(plain), plain) and not HASHERS.verify(make(plain), near)


RULE = {
    "Secret12": set(), "密码Ab1密码密": set(), " Secret12 ": set(), "Ab1" + "é" * 125: set(), "Secret 1": set(),
    "secret12": {"no_upper"}, "SECRET12": {"no_lower"}, "Secretab": {"no_digit"}, "Secre12": {"too_short"},
    "Secre\u0301t1": {"too_short"}, "Ab1" + "x" * 125: set(), "Ab1" + "x" * 126: {"too_long"},
    "": {"too_short", "no_upper", "no_lower", "no_digit"}, "密" * 129: {"too_long", "no_upper", "no_lower", "no_digit"},
    "Password1": {"too_common"}, "password1": {"no_upper"}, "Password1 ": set(),
}  # fmt: skip


@pytest.mark.parametrize(("plain", "codes"), RULE.items(), ids=map(ascii, RULE))
def test_p01_the_rule_tells_everything_at_once(plain: str, codes: set[str]) -> None:
    faults, limits = judge(plain, "new_password"), {"too_short": {"least": 8}, "too_long": {"most": 128}}
    assert {fault.code for fault in faults} == codes <= FAULTS.keys() and len(faults) == len(codes)
    assert all(fault.field == "new_password" and fault.values == limits.get(fault.code, {}) for fault in faults)


def test_the_commonest_satisfy_the_rest_of_the_rule() -> None:
    assert len(commonest()) >= 3000
    assert {"Password1", "Aa123456", "Qwerty123", "Abc12345", "Admin123", "P@ssw0rd", "Passw0rd"} <= commonest()
    assert not {"Secret123", "Newpass123", "Reset1234", "Changed123", "NewSecret123", "Secret12"} & commonest()
    assert all([fault.code for fault in judge(plain, "password")] == ["too_common"] for plain in commonest())


def test_the_pool_works_on_its_own_threads_outside_every_write(world: World) -> None:
    with closing(HashPool(1)) as pool, pool.slot() as run:
        assert run(lambda: threading.current_thread().name).startswith("hash")
        with pytest.raises(ZeroDivisionError):
            run(divmod, 1, 0)
        with world.house.db.write(Caller("-", "-", "en", "-")), pytest.raises(RuntimeError, match="inside a write"):
            run(pytest.fail, "it was run")


@pytest.mark.parametrize(("workers", "queue", "places"), [(1, 0, 1), (2, 1, 3), (2, None, 10)])
def test_l09_the_pool_is_full_at_workers_and_queue(workers: int, queue: int | None, places: int) -> None:
    gate, started = threading.Event(), threading.Semaphore(0)
    with closing(HashPool(workers, queue)) as pool, ExitStack() as held:
        runs = [held.enter_context(pool.slot()) for _ in range(places)]
        with pytest.raises(Overloaded) as refused, pool.slot():
            pytest.fail("one place too many")
        assert refused.value.retry_after in range(1, 6)
        with ThreadPoolExecutor(places) as crowd:
            crowd.map(lambda run: run(lambda: (started.release(), gate.wait(30))), runs)
            assert all(started.acquire(timeout=30) for _ in range(workers)) and not started.acquire(blocking=False)
            gate.set()
        held.close()
        held.enter_context(pool.slot())
