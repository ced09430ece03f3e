"""SMS by anything that takes a signed POST: a gateway of the operator's own.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; the id is the idempotency key.
Receipts come back the same way. Source: https://www.standardwebhooks.com
"""

import json

from yaoshi.core.types import Clock
from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import Courier, Refused, Unreached
from yaoshi.messaging.providers.http import ask, post
from yaoshi.messaging.signatures import signature


class Webhook(Courier):
    """Posts the message as JSON to a service of the operator's, signed as Standard Webhooks has it."""

    name = "webhook"
    idempotent = True

    def __init__(self, clock: Clock, url: str, secret: str) -> None:
        self._clock, self._url, self._secret = clock, url, secret

    def send(self, letter: Letter) -> str:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        told = {"id": letter.key, "kind": letter.kind, "language": letter.language, "to": letter.to}
        # Only what the words hold: an operator's gateway needs no more of an owner's doings than the telephone does.
        values = {name: value for name, value in letter.values.items() if value in letter.sms}
        body = json.dumps(told | {"text": letter.sms, "values": values}).encode()
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
