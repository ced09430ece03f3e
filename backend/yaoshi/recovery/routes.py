"""The doors of a forgotten password."""

from typing import Annotated, Literal

from pydantic import Field

from yaoshi.accounts.policy import read_handle
from yaoshi.codes.schemas import CodeSentOut, CodeShownOut
from yaoshi.codes.service import LIFETIME, CodeRejected
from yaoshi.core.errors import InvalidRequest, Overloaded
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.passwords.policy import judge
from yaoshi.passwords.routes import ConfirmedOut
from yaoshi.recovery.disown import Disown, LinkRejected
from yaoshi.recovery.service import Claim, Recovery
from yaoshi.web.bodies import PartA, PartB, Secret, Text, judged
from yaoshi.web.endpoint import Routes, public, use

routes = Routes("/api/auth")
development = Routes("/api/auth")
"""Opened instead of the door of the same name by the development house alone."""

_SENT = Phrase(
    "If the account and the contact match, a code is on its way. It is valid for 10 minutes.",
    "如果账号与联系方式匹配，验证码已发送，10 分钟内有效。",
)
_DISOWNED = Phrase(
    "Everybody is signed out and the password is void. Please set a new one; if no code comes, ask the operator.",
    "已退出所有设备，原密码已作废，请重新设置密码；若收不到验证码，请联系管理员。",
)
_RESET = Phrase("Your password was reset. Please sign in.", "密码重置成功，请登录。")


class ClaimIn(PartA):
    """Who somebody says they are, and the contact bound to that account."""

    identifier: Text = Field(description="Username, e-mail address or phone number.")
    channel: Literal["email", "phone"]
    contact: Text = Field(description="The account's bound address of that channel.")

    def claim(self) -> Claim:
        """Return what the body claims."""
        return Claim(read_handle(self.identifier), self.channel, self.contact)


class ResetIn(ClaimIn):
    """The code that came, and the new password."""

    code: Text = Field(examples=["123456"])
    new_password: Annotated[Secret, judged(lambda typed: (typed, judge(typed, "new_password")))]


class DisownIn(PartB):
    """The token of a notice's link: what stands there after the #."""

    token: Secret


@routes.door("POST", "/request-reset-code", guard=public, takes=ClaimIn, gives=CodeSentOut, refuses=(InvalidRequest,))
def request_reset_code(caller: Caller, body: ClaimIn) -> CodeSentOut:
    """Ask for a reset code.

    Every well-formed request is answered alike: unknown account, foreign contact, disabled, too often. A new code
    kills the older one.
    """
    use(Recovery).start(caller, body.claim())
    return _told(caller)


@development.door(
    "POST", "/request-reset-code", guard=public, takes=ClaimIn, gives=CodeShownOut, refuses=(InvalidRequest,)
)
def request_and_show_reset_code(caller: Caller, body: ClaimIn) -> CodeShownOut:
    """Ask for a reset code; this development server shows it."""
    return CodeShownOut.showing(_told(caller), use(Recovery).start(caller, body.claim()))


@routes.door(
    "POST",
    "/reset-password",
    guard=public,
    takes=ResetIn,
    gives=ConfirmedOut,
    refuses=(InvalidRequest, CodeRejected, Overloaded),
)
def reset_password(caller: Caller, body: ResetIn) -> ConfirmedOut:
    """Set a new password with a code.

    A code is good once, for its account, channel and contact, for ten minutes and five tries. Every session of the
    account is over afterwards; nobody is signed in by it.
    """
    use(Recovery).finish(caller, body.claim(), body.code, body.new_password)
    return ConfirmedOut(msg=_RESET.say(caller.language))


@routes.door(
    "POST", "/disown", guard=public, takes=DisownIn, gives=ConfirmedOut, refuses=(InvalidRequest, LinkRejected)
)
def disown(caller: Caller, body: DisownIn) -> ConfirmedOut:
    """Say "this was not me" with the link of a notice.

    Every session of the account ends, and so do its codes and its password: the way back is a reset.
    """
    use(Disown).act(caller, body.token)
    return ConfirmedOut(msg=_DISOWNED.say(caller.language))


def _told(caller: Caller) -> CodeSentOut:
    return CodeSentOut(msg=_SENT.say(caller.language), expires_in=int(LIFETIME.total_seconds()))
