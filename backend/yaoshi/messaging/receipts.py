"""What a gateway of the operator's own says became of an SMS."""

from collections.abc import Mapping

from yaoshi.core.errors import Kind, NotOffered, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller, Clock
from yaoshi.messaging.signatures import is_signed
from yaoshi.outbox.service import Outbox


class BadSignature(Problem):
    """The receipt does not come from the gateway: no signature, a wrong one, or one that is older than five minutes."""

    kind, code = Kind.UNAUTHENTICATED, "bad_signature"
    phrase = Phrase("The signature is missing, wrong or too old.", "签名缺失、错误或已过期。")
    challenge = "Webhook"


class Receipts:
    """Takes signed receipts. Without a secret no such gateway is in use."""

    def __init__(self, outbox: Outbox, clock: Clock, secret: str) -> None:
        self._outbox, self._clock, self._secret = outbox, clock, secret

    def judge(self, headers: Mapping[str, str], body: bytes) -> None:
        """Do nothing for a body that the gateway signed. Raises NotOffered, BadSignature."""
        if not self._secret:
            raise NotOffered()
        if not is_signed(self._secret, headers, body, int(self._clock.now().timestamp())):
            raise BadSignature()

    def take(self, caller: Caller, message_id: str, *, delivered: bool) -> bool:
        """Settle the message that waits for this receipt; return whether there is one."""
        return self._outbox.receive(caller, message_id, "webhook", delivered=delivered)
