"""Signed webhooks, ours and those of a gateway of the operator's own. Source: https://www.standardwebhooks.com"""

import base64
import hmac
from collections.abc import Mapping

MOST_AGE_SECONDS = 300


def signing_key(secret: str) -> bytes:
    """Return the key behind `secret`: after `whsec_` base64, as Standard Webhooks has it. Raises ValueError."""
    kind, mark, coded = secret.partition("whsec_")
    return base64.b64decode(coded, validate=True) if mark and not kind else secret.encode()


def signature(secret: str, message_id: str, at: str, body: bytes) -> str:
    """Return what signs `body`; `at` is in seconds of Unix time."""
    signed = hmac.digest(signing_key(secret), f"{message_id}.{at}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signed).decode()}"


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:
    """Return whether `body` came, within five minutes, from who has `secret`; several signatures may be given."""
    given = {name.lower(): value for name, value in headers.items()}
    message_id, at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not at.isascii() or not at.isdecimal() or abs(now - int(at[:12])) > MOST_AGE_SECONDS:
        return False
    right = signature(secret, message_id, at, body).encode()
    shown = given.get("webhook-signature", "").encode().split()
    return any([hmac.compare_digest(one, right) for one in shown])
