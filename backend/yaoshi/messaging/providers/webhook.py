"""SMS by anything that takes a signed POST: a gateway of the operator's own.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; the id is the idempotency key.
Receipts come back the same way. Source: https://www.standardwebhooks.com
"""

import base64
import hmac
import json
from collections.abc import Mapping

from yaoshi.core.types import Clock
from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import Courier, Refused, Unreached
from yaoshi.messaging.providers.http import ask, post

MOST_AGE_SECONDS = 300


class Webhook(Courier):
    """Posts the message as JSON to a service of the operator's, signed as Standard Webhooks has it."""

    name = "webhook"

    def __init__(self, clock: Clock, url: str, secret: str) -> None:
        self._clock, self._url, self._secret = clock, url, secret

    def send(self, letter: Letter) -> str:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        told = {"id": letter.key, "kind": letter.kind, "language": letter.language, "to": letter.to}
        body = json.dumps(told | {"text": letter.sms, "values": letter.values}).encode()
        at = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": letter.key,
            "webhook-timestamp": at,
            "webhook-signature": signature(self._secret, letter.key, at, body),
        }
        status, _ = post(self._url, headers=headers, body=body)
        if not 200 <= status < 300:
            raise (Refused if status in (400, 404, 410, 422) else Unreached)(f"HTTP {status}")
        return letter.key

    def greet(self) -> None:
        """Reach the service. Raises Unreached, Unsure."""
        ask("GET", self._url, headers={})


def signature(secret: str, message_id: str, at: str, body: bytes) -> str:
    """Return what signs `body`; `at` is in seconds of Unix time."""
    signed = hmac.digest(secret.encode(), f"{message_id}.{at}.".encode() + body, "sha256")
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
