"""The door where people sign in."""

from pydantic import Field

from yaoshi.accounts.policy import read_handle
from yaoshi.accounts.schemas import UserOut
from yaoshi.core.errors import InvalidRequest, Overloaded
from yaoshi.core.types import Caller
from yaoshi.limits.service import TooManyAttempts
from yaoshi.sessions.routes import TokensOut, give
from yaoshi.signin.service import SignIn, WrongCredentials
from yaoshi.web.bodies import PartA, Secret, Text
from yaoshi.web.cookies import CrossSite, cookie_way
from yaoshi.web.endpoint import Routes, public, use

routes = Routes("/api/auth")


class LoginIn(PartA):
    """A name and a password."""

    username: Text = Field(description="Username, e-mail address or phone number.", examples=["张san"])
    password: Secret = Field(examples=["Secret123"])


class SignedInOut(TokensOut):
    """What a client takes away."""

    user: UserOut


@routes.door(
    "POST",
    "/login",
    guard=public,
    takes=LoginIn,
    gives=SignedInOut,
    refuses=(InvalidRequest, WrongCredentials, CrossSite, TooManyAttempts, Overloaded),
)
def login(caller: Caller, body: LoginIn) -> SignedInOut:
    """Sign in.

    Wrong in any way is one 401, a disabled account included. Too many failures are 429 with `Retry-After`; a success
    returns only its own count. With `X-Yaoshi-Session: cookie`, from a page that may, the refresh token goes into a
    cookie that no script can read, and the one that was there before is void.
    """
    cookie = cookie_way().chosen()
    held = cookie_way().read() if cookie else None
    handle = read_handle(body.username)
    tokens, profile = use(SignIn).with_password(caller, handle, body.password, replacing=held)
    return SignedInOut(**give(tokens, cookie=cookie), user=UserOut.of(profile))
