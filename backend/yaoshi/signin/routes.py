"""The doors where people sign in."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from yaoshi.accounts.policy import read_handle
from yaoshi.accounts.schemas import UserOut
from yaoshi.codes.schemas import CodeSentOut, CodeShownOut
from yaoshi.codes.service import LIFETIME
from yaoshi.core.errors import InvalidRequest, Overloaded
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.limits.service import TooManyAttempts
from yaoshi.sessions.routes import TokensOut, give
from yaoshi.signin.code import CodeSignIn
from yaoshi.signin.service import ContactUnverified, SignIn, WrongCredentials
from yaoshi.web.bodies import PartA, PartB, Secret, Text
from yaoshi.web.cookies import CrossSite, cookie_way
from yaoshi.web.endpoint import Routes, public, use

routes = Routes("/api/auth")
by_code = Routes("/api/auth")
"""Opened, in place of the door of the same name, where people may sign in with a code."""
by_code_in_development = Routes("/api/auth")
"""Opened instead of the door of the same name by the development house alone."""

_SENT = Phrase(
    "If there is such an account, a code is on its way. It is valid for 10 minutes.",
    "如果账号存在，验证码已发送，10 分钟内有效。",
)


class LoginIn(PartA):
    """A name and a password."""

    username: Text = Field(description="Username, e-mail address or phone number.", examples=["张san"])
    password: Secret = Field(examples=["Secret123"])


class LoginByCodeIn(LoginIn):
    """A name, and a password or a code that was sent to its owner. The password counts where both are given."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].remove("password"))

    code: Text = Field("", examples=["123456"])

    @model_validator(mode="before")
    @classmethod
    def _drop_blanks(cls, data: Any) -> Any:
        data = PartA.without_blanks(data)
        return {"password": ""} | data if isinstance(data, dict) and "code" in data else data


class SignInCodeIn(PartB):
    """Who wants to sign in, and where the code shall go."""

    identifier: Text = Field(description="Username, e-mail address or phone number.")
    channel: Literal["email", "phone"]


class SignedInOut(TokensOut):
    """What a client takes away."""

    user: UserOut


_REFUSES = (InvalidRequest, WrongCredentials, ContactUnverified, CrossSite, TooManyAttempts, Overloaded)


@routes.door("POST", "/login", guard=public, takes=LoginIn, gives=SignedInOut, refuses=_REFUSES)
def login(caller: Caller, body: LoginIn) -> SignedInOut:
    """Sign in.

    Wrong in any way is one 401, a disabled account included. Too many failures are 429 with `Retry-After`; a success
    returns only its own count. With `X-Yaoshi-Session: cookie`, from a page that may, the refresh token goes into a
    cookie that no script can read, and the one that was there before is void. Where the operator demands a proven
    contact and there is none: 403 with a `contact_ticket`, a Bearer token for `/api/auth/contacts/` of 15 minutes.
    """
    return _sign_in(caller, body, "")


@by_code.door("POST", "/login", guard=public, takes=LoginByCodeIn, gives=SignedInOut, refuses=_REFUSES)
def login_by_password_or_code(caller: Caller, body: LoginByCodeIn) -> SignedInOut:
    """Sign in, with a password or a code that `/api/auth/login/code` sent.

    Wrong in any way is one 401; all else is as with a password. A code is good once, for ten minutes and five tries.
    """
    return _sign_in(caller, body, body.code)


@by_code.door("POST", "/login/code", guard=public, takes=SignInCodeIn, gives=CodeSentOut, refuses=(InvalidRequest,))
def send_sign_in_code(caller: Caller, body: SignInCodeIn) -> CodeSentOut:
    """Ask for a code to sign in with.

    Every well-formed request is answered alike: unknown account, no such contact, disabled, too often. A new code kills
    the older one.
    """
    use(CodeSignIn).start(caller, read_handle(body.identifier), body.channel)
    return _told(caller)


@by_code_in_development.door(
    "POST", "/login/code", guard=public, takes=SignInCodeIn, gives=CodeShownOut, refuses=(InvalidRequest,)
)
def send_and_show_sign_in_code(caller: Caller, body: SignInCodeIn) -> CodeShownOut:
    """Ask for a code to sign in with; this development server shows it."""
    issued = use(CodeSignIn).start(caller, read_handle(body.identifier), body.channel)
    return CodeShownOut.showing(_told(caller), issued)


def _sign_in(caller: Caller, body: LoginIn, code: str) -> SignedInOut:
    cookie = cookie_way().chosen()
    held = cookie_way().read() if cookie else None
    handle = read_handle(body.username)
    if body.password or not code:
        tokens, profile = use(SignIn).with_password(caller, handle, body.password, replacing=held)
    else:
        tokens, profile = use(CodeSignIn).finish(caller, handle, code, replacing=held)
    return SignedInOut(**give(tokens, cookie=cookie), user=UserOut.of(profile))


def _told(caller: Caller) -> CodeSentOut:
    return CodeSentOut(msg=_SENT.say(caller.language), expires_in=int(LIFETIME.total_seconds()))
