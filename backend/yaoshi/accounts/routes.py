"""The door where a signed-in person asks who they are."""

from pydantic import BaseModel

from yaoshi.accounts.queries import Principal
from yaoshi.accounts.schemas import UserOut
from yaoshi.core.types import Caller
from yaoshi.web.endpoint import Routes, signed_in

routes = Routes("/api/auth")


class MeOut(BaseModel):
    """Who is signed in."""

    user: UserOut


@routes.door("GET", "/me", guard=signed_in, gives=MeOut)
def me(caller: Caller, who: Principal) -> MeOut:
    """Who am I?

    Answers from the very row that proved the session alive: one statement for the whole request. A token whose
    session ended, or whose account is disabled or gone, is 401. The role is the one of this moment, never the token's.
    """
    return MeOut.model_construct(None, user=UserOut.of(who.profile))
