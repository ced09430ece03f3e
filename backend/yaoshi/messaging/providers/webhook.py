"""SMS by anything that takes a signed POST: a gateway of the operator's own.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; the id is the idempotency key.
Receipts come back the same way. Source: https://www.standardwebhooks.com
"""

import json
from typing import Any

from yaoshi.core import random
from yaoshi.core.types import Clock
from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import Courier, KeyRefused, Refused, Unreached
from yaoshi.messaging.providers.http import post
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
        status = self._post(told | {"text": letter.sms, "values": values})
        if not 200 <= status < 300:
            raise (Refused if status in (400, 404, 410, 422) else Unreached)(f"HTTP {status}")
        return letter.key

    def greet(self) -> None:
        """Post the kind `check` with nothing to send, signed as ever: any 2xx is well. Raises Unreached, Unsure."""
        status = self._post({"id": str(random.new_id(self._clock.now())), "kind": "check"})
        if not 200 <= status < 300:
            raise (KeyRefused if status in (401, 403) else Unreached)(f"HTTP {status}")

    def _post(self, told: dict[str, Any]) -> int:
        body = json.dumps(told).encode()
        at = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": told["id"],
            "webhook-timestamp": at,
            "webhook-signature": signature(self._secret, told["id"], at, body),
        }
        return post(self._url, headers=headers, body=body)[0]
