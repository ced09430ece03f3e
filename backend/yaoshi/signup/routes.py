"""The door where strangers register."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from yaoshi.accounts.events import IdentifierTaken
from yaoshi.accounts.policy import Role, read_email, read_phone, read_username
from yaoshi.accounts.schemas import UserOut
from yaoshi.accounts.service import NewAccount
from yaoshi.core.errors import Fault, InvalidRequest, Overloaded
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.limits.service import TooManyAttempts
from yaoshi.passwords.policy import judge
from yaoshi.signup.service import SignUp
from yaoshi.web.bodies import PartA, Secret, Text, judged
from yaoshi.web.endpoint import Routes, public, use

routes = Routes("/api/auth")

_WELCOME = Phrase("Welcome. You can sign in now.", "注册成功，请登录。")


def _phone(typed: str) -> tuple[str, list[Fault]]:
    phone, faults = read_phone(typed)
    return (phone.spelled if phone else typed), list(faults)


class RegisterIn(PartA):
    """Who asks for an account."""

    username: Annotated[Text, judged(read_username)] = Field(examples=["张san"])
    email: Annotated[Text, judged(read_email)] = Field(examples=["zhangsan@example.com"])
    phone: Annotated[Text, judged(_phone)] | None = Field(None, examples=["13800138000"])
    password: Annotated[Secret, judged(lambda typed: (typed, judge(typed, "password")))] = Field(examples=["Secret123"])
    role: Literal["pharmacy", "supplier", "logistics", "regulator", "unauth"] = "unauth"


class RegisteredOut(BaseModel):
    """The new account."""

    msg: str
    user: UserOut


@routes.door(
    "POST",
    "/register",
    guard=public,
    takes=RegisterIn,
    gives=RegisteredOut,
    status=201,
    refuses=(InvalidRequest, IdentifierTaken, TooManyAttempts, Overloaded),
)
def register(caller: Caller, body: RegisterIn) -> RegisteredOut:
    """Open an account.

    A role that is not open here is kept as `requested_role` while `role` stays `unauth`. Taken usernames (look-alikes
    included), e-mail addresses and phone numbers are 409, naming every taken field.
    """
    new = NewAccount(body.username, body.email, body.phone, Role(body.role), caller.language)
    profile = use(SignUp).register(caller, new, body.password)
    return RegisteredOut(msg=_WELCOME.say(caller.language), user=UserOut.of(profile))
