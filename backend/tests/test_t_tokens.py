"""Attack list, letter T: access tokens. Every line is a row; the default expectation is 401 and no change."""

import base64
import hashlib
import hmac
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from conftest import World

HS = "a-jwt-key-of-sixty-four-chars-0123456789abcdefghijklmnopqrstuvwx"
Forge = Callable[[World, str], str]


def encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(token: str, part: int) -> dict[str, Any]:
    text = token.split(".")[part]
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def unsigned(header: dict[str, Any], signature: str = "") -> Forge:
    return lambda world, token: f"{encoded(decoded(token, 0) | header)}.{token.split('.')[1]}.{signature}"


def own_key(world: World) -> Any:
    return world.house.ring.signer()  # the test holds the real key, as a thief of the server would


def resigned(world: World, token: str, header: dict[str, Any] | None = None, claims: Any = None, drop: str = "") -> str:
    """Sign changed parts correctly, with the server's own key."""
    key = own_key(world)
    head = decoded(token, 0) | (header or {})
    body = (
        claims
        if isinstance(claims, bytes)
        else json.dumps(
            {name: value for name, value in (decoded(token, 1) | (claims or {})).items() if name != drop}
        ).encode()
    )
    message = f"{encoded(head)}.{encoded(body)}"
    signed: str = jws.serialize_compact({"alg": key.algorithm}, b"x", key.material, algorithms=[key.algorithm])
    assert signed
    if key.algorithm == "HS256":
        digest = hmac.new(HS.encode(), message.encode(), hashlib.sha256).digest()
        return f"{message}.{encoded(digest)}"
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    r, s = decode_dss_signature(key.material.private_key.sign(message.encode(), ECDSA(SHA256())))
    return f"{message}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def with_claims(**claims: Any) -> Forge:
    return lambda world, token: resigned(world, token, claims=claims)


def with_header(**header: Any) -> Forge:
    return lambda world, token: resigned(world, token, header=header)


def without(claim: str) -> Forge:
    return lambda world, token: resigned(world, token, drop=claim)


def hmac_by_public_key(spell: Callable[[ECKey], bytes], algorithm: str = "HS256") -> Forge:
    def forge(world: World, token: str) -> str:
        message = f"{encoded(decoded(token, 0) | {'alg': algorithm})}.{token.split('.')[1]}"
        name = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
        return f"{message}.{encoded(hmac.new(spell(own_key(world).material), message.encode(), name).digest())}"

    return forge


def flipped(part: int) -> Forge:
    def forge(world: World, token: str) -> str:
        parts = token.split(".")
        raw = bytearray(base64.urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
        raw[len(raw) // 2] ^= 1
        parts[part] = encoded(bytes(raw))
        return ".".join(parts)

    return forge


def last_character_varied(world: World, token: str) -> str:
    """Change bits of the last character that carry nothing: another spelling of the same signature."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def duplicated(claim: str) -> Forge:
    def forge(world: World, token: str) -> str:
        body = json.dumps(decoded(token, 1))[:-1] + f', "{claim}": {json.dumps(decoded(token, 1)[claim])}}}'
        return resigned(world, token, claims=body.encode())

    return forge


def pem(key: ECKey) -> bytes:
    return key.as_pem(private=False)


def minted_with(secret: str, subject: Any) -> Forge:
    def forge(world: World, token: str) -> str:
        head, body = {"alg": "HS256", "typ": "JWT"}, {"sub": subject, "exp": 4102444800, "iat": 1, "fresh": False}
        message = f"{encoded(head)}.{encoded(body)}"
        return f"{message}.{encoded(hmac.new(secret.encode(), message.encode(), hashlib.sha256).digest())}"

    return forge


FORGED: dict[str, Forge] = {
    **{f"T01-alg-{alg or 'empty'}": unsigned({"alg": alg}) for alg in ("none", "None", "nOnE", "")},
    "T01-kept-signature": lambda world, token: unsigned({"alg": "none"}, token.split(".")[2])(world, token),
    "T01-no-alg": lambda world, token: f"{encoded({'typ': 'at+jwt'})}.{token.split('.')[1]}.",
    "T02-pem": hmac_by_public_key(pem),
    "T02-pem-384": hmac_by_public_key(pem, "HS384"),
    "T02-pem-512": hmac_by_public_key(pem, "HS512"),
    "T02-pem-crlf": hmac_by_public_key(lambda key: pem(key).replace(b"\n", b"\r\n")),
    "T02-pem-no-newline": hmac_by_public_key(lambda key: pem(key).strip()),
    "T02-der": hmac_by_public_key(lambda key: key.as_der(private=False)),
    "T02-spki-base64": hmac_by_public_key(lambda key: base64.b64encode(key.as_der(private=False))),
    "T02-jwk": hmac_by_public_key(lambda key: json.dumps(key.as_dict(private=False)).encode()),
    "T02-x": hmac_by_public_key(lambda key: str(key.as_dict(private=False)["x"]).encode()),
    "T02-empty-key": hmac_by_public_key(lambda key: b""),
    **{
        f"T04-kid-{number}": with_header(kid=kid)
        for number, kid in enumerate(
            (
                "../../../../dev/null",
                "/proc/self/environ",
                "' OR 1=1--",
                "http://127.0.0.1:9/k",
                "\x00",
                "k" * 10240,
                ["a"],
                7,
                None,
                "unknown",
            )
        )
    },
    **{
        f"T05-{name}": with_header(**{name: value})
        for name, value in (
            ("jku", "http://127.0.0.1:9/jwks"),
            ("x5u", "http://127.0.0.1:9/x"),
            ("x5c", ["MIIB"]),
            ("jwk", {"kty": "oct", "k": "YQ"}),
        )
    },
    "T06-crit-unknown": with_header(crit=["x"], x=1),
    "T06-crit-exp": with_header(crit=["exp"]),
    "T06-crit-empty": with_header(crit=[]),
    "T06-b64": with_header(b64=False, crit=["b64"]),
    "T06-typ-jwt": with_header(typ="JWT"),
    "T06-typ-missing": lambda world, token: resigned(world, token, header={"typ": None}),
    **{
        f"T08-iss-{number}": with_claims(iss=iss)
        for number, iss in enumerate(
            (
                "http://localhost/",
                "xhttp://localhost",
                "http://localhost.evil.com",
                "HTTP://LOCALHOST",
                ["http://localhost"],
                "",
                None,
            )
        )
    },
    "T08-iss-missing": without("iss"),
    **{
        f"T09-aud-{number}": with_claims(aud=aud)
        for number, aud in enumerate(
            ("other", "", "yaosh", "yaoshi2", ["other"], ["yaoshi"], ["yaoshi", "other"], None)
        )
    },
    "T09-aud-missing": without("aud"),
    **{f"T12-flip-{part}": flipped(part) for part in range(3)},
    "T12-cut": lambda world, token: token[:-4],
    "T12-extended": lambda world, token: token + "AAAA",
    "T12-padded": lambda world, token: token + "==",
    "T12-standard-alphabet": lambda world, token: re.sub("[-_]", "+", token + "-"),
    "T12-blank": lambda world, token: token[:30] + " " + token[30:],
    "T12-last-character": last_character_varied,
    "T12-two-parts": lambda world, token: token.rpartition(".")[0],
    "T12-four-parts": lambda world, token: token + ".AAAA",
    "T12-five-parts": lambda world, token: token + ".AAAA.AAAA",
    "T13-json": lambda world, token: json.dumps({"payload": token.split(".")[1], "signatures": []}),
    "T13-flattened": lambda world, token: json.dumps(
        {"protected": token.split(".")[0], "payload": token.split(".")[1], "signature": token.split(".")[2]}
    ),
    "T13-nested": lambda world, token: resigned(world, token, header={"cty": "JWT"}, claims=token.encode()),
    "T13-payload-list": lambda world, token: resigned(world, token, claims=b"[1]"),
    "T14-two-sub": duplicated("sub"),
    "T14-two-exp": duplicated("exp"),
    **{
        f"T20-{secret}-{type(sub).__name__}": minted_with(secret, sub)
        for secret in ("jwt-secret", "dev-secret", "test-secret-key")
        for sub in (1, "1")
    },
    "T24-other-key": lambda world, token: jws.serialize_compact(
        decoded(token, 0), json.dumps(decoded(token, 1)).encode(), ECKey.generate_key("P-256"), algorithms=["ES256"]
    ),
    "T-sub-number": with_claims(sub=1),
    "T-sub-signed": with_claims(sub="+1"),
    "T-sub-other": with_claims(sub="2"),
    "T-sid-other": with_claims(sid=str(uuid.uuid4())),
    "T-expired": with_claims(exp=1),
    "T-exp-text": with_claims(exp="4102444800"),
    "T-exp-true": with_claims(exp=True),
    "T-exp-float": with_claims(exp=4102444800.5),
    "T-from-the-future": with_claims(iat=4102444800, exp=4102444900),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(world: World, forge: Forge) -> None:
    world.register()
    token, before = world.token(), world.snapshot()
    assert world.me(resigned(world, token)).status == 200  # the forger's tools do make good tokens
    answer = world.call(
        "GET", "/api/auth/me", headers={"Authorization": f"Bearer {forge(world, token)}".replace("\n", "")}
    )
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert world.snapshot() == before and world.me(token).status == 200


@pytest.mark.parametrize(
    ("name", "spell", "status"),
    [
        ("T16-lower-case", "bearer {}", 200),
        ("T16-upper-case", "BEARER {}", 200),
        ("T16-two", "Bearer {}, Bearer {}", 401),
        ("T16-joined", "Bearer {},Bearer {}", 401),
        ("T16-tab", "Bearer\t{}", 401),
        ("T16-blank-after", "Bearer {} x", 401),
        ("T16-two-blanks", "Bearer  {}", 401),
        ("T16-empty", "", 401),
        ("T16-bare", "Bearer", 401),
        ("T16-bare-blank", "Bearer ", 401),
        ("T16-no-scheme", "{}", 401),
        ("T16-basic", "Basic YTpi", 401),
        ("T16-eight-bit", "Bearer \xff\xfe", 401),
        ("T16-percent", "Bearer %E0%A4%A", 401),
        ("T21-long", "Bearer " + "a" * 8000, 401),
        ("T21-longer", "Bearer " + "a" * 20000, 431),
    ],
)
def test_only_one_bearer_token_is_read(world: World, name: str, spell: str, status: int) -> None:
    world.register()
    header = spell.replace("{}", world.token())
    assert world.call("GET", "/api/auth/me", headers={"Authorization": header}).status == status


def test_unknown_key_names_cause_no_reload_storm(world: World) -> None:  # T04
    world.register()
    token = world.token()
    world.clock.advance(seconds=6)
    world.statements.clear()
    for number in range(100):
        world.me(with_header(kid=f"unknown{number}")(world, token))
    assert sum("signing_keys" in statement for statement in world.statements) <= 2


def test_hs256_serves_those_who_share_a_secret(make_world: Callable[..., World]) -> None:
    world = make_world("production", jwt_secret_key=HS)
    world.register()
    token = world.token()
    assert decoded(token, 0) == {"alg": "HS256", "typ": "at+jwt", "kid": world.house.ring.signer().kid}
    assert world.me(token).status == world.me(resigned(world, token)).status == 200
    assert jws.deserialize_compact(token, OctKey.import_key(HS), algorithms=["HS256"])
    for name in ("T01-alg-none", "T06-crit-unknown", "T08-iss-0", "T09-aud-0", "T12-last-character", "T14-two-sub"):
        assert world.me(FORGED[name](world, token)).status == 401, name


def test_a_copy_of_the_database_signs_nothing(world: World) -> None:
    world.register()
    world.token()
    private = own_key(world).material.as_dict(private=True)["d"]
    stored = str(world.rows("SELECT * FROM signing_keys"))
    assert private not in stored and "PRIVATE" not in stored
