"""SMS by Twilio, and by anything that takes a signed POST."""

import base64
import hmac
import json
from urllib.parse import urlencode

from yaoshi.core.types import Clock
from yaoshi.messaging.letters import Letter
from yaoshi.messaging.providers.courier import Refused, Unreached
from yaoshi.messaging.providers.http import member, post

ENDPOINT = "https://api.twilio.com"
_NEVER = (21211, 21214, 21408, 21610, 21614)


class Twilio:
    """Sends our own words. `sender` is a number, or a messaging service (`MG…`)."""

    name = "twilio"

    def __init__(self, account: tuple[str, str], sender: str, endpoint: str = ENDPOINT) -> None:
        self._account, self._sender, self._endpoint = account, sender, endpoint

    def send(self, letter: Letter) -> None:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        kind = "MessagingServiceSid" if self._sender.startswith("MG") else "From"
        body = urlencode({"To": letter.to, kind: self._sender, "Body": letter.sms}).encode()
        status, answer = post(
            f"{self._endpoint}/2010-04-01/Accounts/{self._account[0]}/Messages.json",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=body,
            auth=self._account,
        )
        if status == 201:
            return
        code = member(answer, "code")
        raise (Refused if code in _NEVER else Unreached)(f"HTTP {status} {code}")


class Webhook:
    """Posts the message as JSON to a service of the operator's, signed as Standard Webhooks has it.

    `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; the id is the idempotency key.
    Source: https://www.standardwebhooks.com
    """

    name = "webhook"

    def __init__(self, clock: Clock, url: str, secret: str) -> None:
        self._clock, self._url, self._secret = clock, url, secret

    def send(self, letter: Letter) -> None:
        """Hand over `letter`. Raises Unreached, Unsure, Refused."""
        told = {"id": letter.key, "kind": letter.kind, "language": letter.language, "to": letter.to}
        body = json.dumps(told | {"text": letter.sms, "values": letter.values}).encode()
        at = str(int(self._clock.now().timestamp()))
        signature = hmac.digest(self._secret.encode(), f"{letter.key}.{at}.".encode() + body, "sha256")
        headers = {
            "Content-Type": "application/json",
            "webhook-id": letter.key,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        }
        status, _ = post(self._url, headers=headers, body=body)
        if not 200 <= status < 300:
            raise (Refused if status in (400, 404, 410, 422) else Unreached)(f"HTTP {status}")
