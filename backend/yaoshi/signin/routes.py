"""The door where people sign in."""

from typing import Literal

from pydantic import BaseModel, Field

from yaoshi.accounts.policy import read_handle
from yaoshi.accounts.schemas import UserOut
from yaoshi.core.errors import InvalidRequest, Overloaded
from yaoshi.core.types import Caller
from yaoshi.limits.service import TooManyAttempts
from yaoshi.signin.service import SignIn, WrongCredentials
from yaoshi.web.bodies import PartA, Secret, Text
from yaoshi.web.endpoint import Routes, public, use

routes = Routes("/api/auth")


class LoginIn(PartA):
    """A name and a password."""

    username: Text = Field(description="Username, e-mail address or phone number.", examples=["张san"])
    password: Secret = Field(examples=["Secret123"])


class SignedInOut(BaseModel):
    """What a client takes away."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the scheme's name
    expires_in: int = Field(description="Seconds until the access token expires.")
    user: UserOut


@routes.door(
    "POST",
    "/login",
    guard=public,
    takes=LoginIn,
    gives=SignedInOut,
    refuses=(InvalidRequest, WrongCredentials, TooManyAttempts, Overloaded),
)
def login(caller: Caller, body: LoginIn) -> SignedInOut:
    """Sign in.

    Wrong in any way is one 401, a disabled account included. Too many failures are 429 with `Retry-After`; a success
    returns only its own count.
    """
    tokens, profile = use(SignIn).with_password(caller, read_handle(body.username), body.password)
    return SignedInOut(access_token=tokens.access_token, expires_in=tokens.expires_in, user=UserOut.of(profile))
