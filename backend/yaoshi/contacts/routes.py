"""The doors of contacts: a code to prove one, the proof, a change."""

from typing import Any

from flask import request
from pydantic import BaseModel
from werkzeug.exceptions import NotFound

from yaoshi.accounts.events import IdentifierTaken
from yaoshi.accounts.queries import Profile
from yaoshi.accounts.schemas import UserOut
from yaoshi.codes.schemas import CodeSentOut, CodeShownOut
from yaoshi.codes.service import CodeRejected, Issued
from yaoshi.contacts.service import Contacts, Owners
from yaoshi.core.errors import InvalidRequest, Overloaded
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.limits.service import TooManyAttempts
from yaoshi.web.bodies import PartB, Secret, Text
from yaoshi.web.endpoint import Routes, use

routes = Routes("/api/auth/contacts")
development = Routes("/api/auth/contacts")
"""Opened instead of the doors of the same names by the development house alone."""

_SENT = Phrase("A code is on its way. It is valid for 10 minutes.", "验证码已发送，10 分钟内有效。")
_SENT_TO_NEW = Phrase(
    "A code is on its way, unless somebody else uses this contact. It is valid for 10 minutes.",
    "验证码已发送（该联系方式已属于他人时除外），10 分钟内有效。",
)
_PROVEN = Phrase("Your contact is verified.", "联系方式验证成功。")


class VerifyIn(PartB):
    """The code that came."""

    code: Text


class MoveIn(PartB):
    """A new contact, and the password of who wants it."""

    value: Text
    password: Secret


class ContactProvenOut(BaseModel):
    """The account after the proof."""

    msg: str
    user: UserOut


def owner(caller: Caller) -> dict[str, Any]:
    """Let in who is signed in, or holds the ticket of a sign-in that demands a proven contact."""
    return {"who": use(Owners).authenticate(request.environ.get("HTTP_AUTHORIZATION"))}


@routes.door("POST", "/<channel>/code", guard=owner, gives=CodeSentOut, refuses=(InvalidRequest, TooManyAttempts))
def send_contact_code(caller: Caller, who: Profile, channel: str) -> CodeSentOut:
    """Ask for a code that proves my e-mail address (`email`) or phone number (`phone`)."""
    return _told(caller, use(Contacts).start(caller, who, _known(channel)), _SENT)


@development.door("POST", "/<channel>/code", guard=owner, gives=CodeShownOut, refuses=(InvalidRequest, TooManyAttempts))
def send_and_show_contact_code(caller: Caller, who: Profile, channel: str) -> CodeShownOut:
    """Ask for a code that proves a contact; this development server shows it."""
    issued = use(Contacts).start(caller, who, _known(channel))
    return CodeShownOut.showing(_told(caller, issued, _SENT), issued)


@routes.door(
    "POST",
    "/<channel>/verify",
    guard=owner,
    takes=VerifyIn,
    gives=ContactProvenOut,
    refuses=(InvalidRequest, CodeRejected, IdentifierTaken),
)
def verify_contact(caller: Caller, who: Profile, channel: str, body: VerifyIn) -> ContactProvenOut:
    """Prove a contact with the code that was sent there; a new contact takes the old one's place by it."""
    profile = use(Contacts).finish(caller, who, _known(channel), body.code)
    return ContactProvenOut(msg=_PROVEN.say(caller.language), user=UserOut.of(profile))


@routes.door(
    "PUT",
    "/<channel>",
    guard=owner,
    takes=MoveIn,
    gives=CodeSentOut,
    refuses=(InvalidRequest, TooManyAttempts, Overloaded),
)
def change_contact(caller: Caller, who: Profile, channel: str, body: MoveIn) -> CodeSentOut:
    """Ask to change a contact.

    The code goes to the new one and a notice to the old one; nothing changes until the code is typed in. A contact
    that somebody else uses is answered alike, and sent nothing.
    """
    return _told(caller, use(Contacts).move(caller, who, _known(channel), body.value, body.password), _SENT_TO_NEW)


@development.door(
    "PUT",
    "/<channel>",
    guard=owner,
    takes=MoveIn,
    gives=CodeShownOut,
    refuses=(InvalidRequest, TooManyAttempts, Overloaded),
)
def change_contact_and_show_code(caller: Caller, who: Profile, channel: str, body: MoveIn) -> CodeShownOut:
    """Ask to change a contact; this development server shows the code."""
    issued = use(Contacts).move(caller, who, _known(channel), body.value, body.password)
    return CodeShownOut.showing(_told(caller, issued, _SENT_TO_NEW), issued)


def _known(channel: str) -> str:
    if channel not in ("email", "phone"):
        raise NotFound()
    return channel


def _told(caller: Caller, issued: Issued, phrase: Phrase) -> CodeSentOut:
    return CodeSentOut(msg=phrase.say(caller.language), expires_in=issued.expires_in)
