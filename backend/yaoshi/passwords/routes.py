"""The door where a signed-in person changes the password."""

from pydantic import BaseModel

from yaoshi.accounts.queries import Principal
from yaoshi.core.errors import InvalidRequest, Overloaded
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.limits.service import TooManyAttempts
from yaoshi.passwords.change import PasswordChange
from yaoshi.web.bodies import PartA, Secret
from yaoshi.web.endpoint import Routes, signed_in, use

routes = Routes("/api/auth")

_CHANGED = Phrase("Your password was changed. Please sign in again.", "密码修改成功，请重新登录。")


class ChangePasswordIn(PartA):
    """Both passwords."""

    old_password: Secret
    new_password: Secret


class ConfirmedOut(BaseModel):
    """A plain yes."""

    msg: str


@routes.door(
    "POST",
    "/change-password",
    guard=signed_in,
    takes=ChangePasswordIn,
    gives=ConfirmedOut,
    refuses=(InvalidRequest, TooManyAttempts, Overloaded),
)
def change_password(caller: Caller, who: Principal, body: ChangePasswordIn) -> ConfirmedOut:
    """Change my password.

    Every session of the account is over afterwards, this one included. A wrong old password, a weak new one and two
    equal ones are told at once; wrong old passwords spend the account's sign-in count.
    """
    use(PasswordChange).change(caller, who, body.old_password, body.new_password)
    return ConfirmedOut(msg=_CHANGED.say(caller.language))
