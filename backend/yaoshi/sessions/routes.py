"""The doors of sessions: refresh, sign out, see one's devices and end them, ask whether a token holds."""

from typing import Any, ClassVar, Literal

from flask import request
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from yaoshi.accounts.queries import Principal
from yaoshi.accounts.schemas import Rfc3339
from yaoshi.core.errors import InvalidRequest, Kind, NotOffered, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Caller
from yaoshi.limits.service import TooManyAttempts
from yaoshi.sessions.service import SessionIsOver, Sessions, Tokens, UnknownClient
from yaoshi.web.bodies import PartB, Secret
from yaoshi.web.cookies import CrossSite, cookie_way
from yaoshi.web.endpoint import Routes, public, signed_in, use

routes = Routes("/api/auth")

_SIGNED_OUT = Phrase("You are signed out.", "已退出登录。")
_EVERYWHERE = Phrase("You are signed out on all devices.", "已在所有设备上退出登录。")
_ENDED = Phrase("That device is signed out.", "该设备已退出登录。")


class NoSuchSession(Problem):
    """No open session of yours has this id."""

    kind, code = Kind.NOT_FOUND, "no_such_session"
    phrase = Phrase("There is no such session.", "该会话不存在。")


class RefreshIn(PartB):
    """The refresh token, unless it comes as Bearer or in the cookie."""

    optional: ClassVar[bool] = True
    refresh_token: Secret = ""


class TokensOut(BaseModel):
    """A pair of tokens."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the scheme's name
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str | None = Field(None, description="Absent in the cookie way.")

    @model_serializer(mode="wrap")
    def _without_absent(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = inner(self)
        if told["refresh_token"] is None:
            del told["refresh_token"]
        return told


class ConfirmedOut(BaseModel):
    """A plain yes."""

    msg: str


class SessionOut(BaseModel):
    """One open session."""

    id: str
    device: str = Field(description="What the browser or program called itself when it signed in.")
    address: str
    created_at: Rfc3339
    last_seen_at: Rfc3339 = Field(description="When it signed in or last refreshed.")
    current: bool = Field(description="Whether this very request belongs to it.")


class SessionsOut(BaseModel):
    """All open sessions, the newest first; at most ten."""

    items: list[SessionOut]


class IntrospectIn(PartB):
    """A token to look at. Source: RFC 7662 §2.1."""

    media: ClassVar[str] = "application/x-www-form-urlencoded"
    token: Secret
    token_type_hint: Secret = ""


class IntrospectOut(BaseModel):
    """What holds at this moment. Source: RFC 7662 §2.2."""

    active: bool
    sub: str | None = None
    sid: str | None = None
    username: str | None = None
    role: str | None = None
    iat: int | None = None
    exp: int | None = None
    token_type: Literal["Bearer"] | None = None


def give(tokens: Tokens, *, cookie: bool) -> dict[str, Any]:
    """Return the members of an answer that hands over `tokens`; in the cookie way the cookie takes the second one."""
    if cookie:
        cookie_way().keep(tokens.refresh_token, tokens.refresh_expires_in)
    refresh_token = None if cookie else tokens.refresh_token
    return {"access_token": tokens.access_token, "expires_in": tokens.expires_in, "refresh_token": refresh_token}


@routes.door(
    "POST",
    "/refresh",
    guard=public,
    takes=RefreshIn,
    gives=TokensOut,
    refuses=(InvalidRequest, SessionIsOver, CrossSite, TooManyAttempts),
)
def refresh(caller: Caller, body: RefreshIn) -> TokensOut:
    """Trade a refresh token for the next pair.

    The token comes in the body, as Bearer, or in the cookie (with `X-Yaoshi-Session: cookie` and an `Origin` that may):
    in one of them, or it is refused. Each token works once; for a few seconds, and while its successor is unused, it
    earns that same successor again. Any other used token ends the session. Every refusal is one 401.
    """
    cookie, presented = _presented(body)
    try:
        tokens = use(Sessions).refresh(caller, presented)
    except SessionIsOver:
        if cookie:
            cookie_way().forget()
        raise
    return TokensOut(**give(tokens, cookie=cookie))


@routes.door(
    "POST",
    "/logout",
    guard=public,
    takes=RefreshIn,
    gives=ConfirmedOut,
    refuses=(InvalidRequest, SessionIsOver, CrossSite),
)
def logout(caller: Caller, body: RefreshIn) -> ConfirmedOut:
    """Sign out here.

    Takes the access token or the refresh token as Bearer, or the refresh token in the body or the cookie. The session
    is over for every request that begins after the answer.
    """
    cookie, presented = _presented(body)
    if cookie:
        cookie_way().forget()
    use(Sessions).sign_out(caller, presented)
    return ConfirmedOut(msg=_SIGNED_OUT.say(caller.language))


@routes.door("POST", "/logout-all", guard=signed_in, gives=ConfirmedOut)
def logout_all(caller: Caller, who: Principal) -> ConfirmedOut:
    """Sign out everywhere, here as well."""
    use(Sessions).sign_out_everywhere(caller, who.profile.id)
    return ConfirmedOut(msg=_EVERYWHERE.say(caller.language))


@routes.door("GET", "/sessions", guard=signed_in, gives=SessionsOut)
def sessions(caller: Caller, who: Principal) -> SessionsOut:
    """List my open sessions."""
    devices = use(Sessions).devices(who.profile.id)
    return SessionsOut(
        items=[
            SessionOut(
                id=one.id,
                device=one.device,
                address=one.address,
                created_at=one.created_at,
                last_seen_at=one.last_seen_at,
                current=one.id == who.session_id,
            )
            for one in devices
        ]
    )


@routes.door("DELETE", "/sessions/<id>", guard=signed_in, gives=ConfirmedOut, refuses=(NoSuchSession,))
def end_session(caller: Caller, who: Principal, id: str) -> ConfirmedOut:
    """End one of my sessions. The ids of others are as unknown as those that never were."""
    if not use(Sessions).end_one(caller, who.profile.id, id):
        raise NoSuchSession()
    return ConfirmedOut(msg=_ENDED.say(caller.language))


@routes.door(
    "POST",
    "/introspect",
    guard=public,
    takes=IntrospectIn,
    gives=IntrospectOut,
    refuses=(InvalidRequest, UnknownClient, NotOffered),
)
def introspect(caller: Caller, body: IntrospectIn) -> IntrospectOut:
    """Ask whether an access token holds right now: for services that must know at once.

    HTTP Basic with a credential of YAOSHI_INTROSPECTION_CREDENTIALS; without any set there is no such door (404).
    Refresh tokens are never active here. Source: RFC 7662.
    """
    given = request.authorization
    shown = f"{given.username}:{given.password}" if given and given.type == "basic" else ""
    found = use(Sessions).introspect(shown, body.token)
    if found is None:
        return IntrospectOut(active=False)
    said, who = found
    return IntrospectOut(
        active=True,
        sub=str(said.user_id),
        sid=said.session_id,
        username=who.profile.username,
        role=who.profile.role,
        iat=said.issued_at,
        exp=said.expires_at,
        token_type="Bearer",  # noqa: S106  # the scheme's name
    )


def _presented(body: RefreshIn) -> tuple[bool, str]:
    """Return whether the cookie way is gone, and the one token that the request shows.

    Raises CrossSite, and SessionIsOver for none and for several: nobody can tell whose session was meant.
    """
    cookie = cookie_way().chosen()
    bearer = request.headers.get("Authorization", "")
    shown = [body.refresh_token, bearer[7:] if bearer[:7].lower() == "bearer " else bearer or None]
    found = list(filter(None, [*shown, cookie_way().read() if cookie else None]))
    if len(found) != 1:
        raise SessionIsOver()
    return cookie, found[0]
