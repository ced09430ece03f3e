"""The door where a gateway of the operator's own tells what became of an SMS."""

from typing import Any, Literal

from flask import request
from pydantic import BaseModel

from yaoshi.core.errors import InvalidRequest, NotOffered
from yaoshi.core.types import Caller
from yaoshi.messaging.receipts import BadSignature, Receipts
from yaoshi.web.bodies import MOST_NBYTES, PartB, Text
from yaoshi.web.endpoint import Routes, use

routes = Routes("/api/messages")


class ReceiptIn(PartB):
    """What became of a message; `id` is the one that it was sent with."""

    id: Text
    status: Literal["delivered", "failed"]


class ReceiptOut(BaseModel):
    """Whether anything waited for this receipt."""

    known: bool


def gateway(caller: Caller) -> dict[str, Any]:
    """Let in who signs as the operator's own gateway does. What has no length, or too much of it, is never read."""
    read = request.content_length is not None and request.content_length <= MOST_NBYTES
    use(Receipts).judge(dict(request.headers), request.get_data() if read else b"")
    return {}


@routes.door(
    "POST",
    "/receipts",
    guard=gateway,
    takes=ReceiptIn,
    gives=ReceiptOut,
    refuses=(InvalidRequest, BadSignature, NotOffered),
)
def take_receipt(caller: Caller, body: ReceiptIn) -> ReceiptOut:
    """Say whether an SMS arrived, as the gateway behind YAOSHI_SMS_WEBHOOK_URL.

    Signed as Standard Webhooks has it, with the secret that signs what the gateway gets. A message that failed, or is
    not heard of for 45 seconds, goes to the next provider.
    """
    known = use(Receipts).take(caller, body.id, delivered=body.status == "delivered")
    return ReceiptOut(known=known)
