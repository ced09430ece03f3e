"""The doors of sessions: refresh, sign out, see one's devices and end them, ask whether a token holds."""

import re
from typing import Any, ClassVar, Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field

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
# What is no id is asked of no database: PostgreSQL fails at a NUL.
_ID = re.compile(r"[0-9a-f-]{36}")
_ENDED = Phrase("That device is signed out.", "该设备已退出登录。")


def _is_none(value: object) -> bool:
    return value is None


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
    refresh_token: str | None = Field(None, exclude_if=_is_none, description="Absent in the cookie way.")


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
    """A token to look at; further parameters may come and mean nothing here. Source: RFC 7662 §2.1."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    media: ClassVar[str] = "application/x-www-form-urlencoded"
    token: Secret
    token_type_hint: Secret = ""


class IntrospectOut(BaseModel):
    """What holds at this moment. Source: RFC 7662 §2.2."""

    active: bool
    sub: str | None = Field(None, exclude_if=_is_none)
    sid: str | None = Field(None, exclude_if=_is_none)
    username: str | None = Field(None, exclude_if=_is_none)
    role: str | None = Field(None, exclude_if=_is_none)
    iat: int | None = Field(None, exclude_if=_is_none)
    exp: int | None = Field(None, exclude_if=_is_none)
    token_type: Literal["Bearer"] | None = Field(None, exclude_if=_is_none)


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
    # A refusal leaves the cookie alone: another tab may have signed in anew while this answer was on its way.
    cookie, shown = _shown(body)
    if len(shown) != 1:
        raise SessionIsOver()
    tokens = use(Sessions).refresh(caller, shown[0])
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
    is over for every request that begins after the answer. Several may come if they are of one session.
    """
    cookie, shown = _shown(body)
    try:
        use(Sessions).sign_out(caller, shown)
    except SessionIsOver:
        if cookie:
            cookie_way().forget()
        raise
    # Not before: who could not be signed out may try again.
    if cookie:
        cookie_way().forget()
    return ConfirmedOut(msg=_SIGNED_OUT.say(caller.language))


@routes.door("POST", "/logout-all", guard=signed_in, gives=ConfirmedOut)
def logout_all(caller: Caller, who: Principal) -> ConfirmedOut:
    """Sign out everywhere, here as well."""
    use(Sessions).sign_out_everywhere(caller, who.profile.id)
    return ConfirmedOut(msg=_EVERYWHERE.say(caller.language))


@routes.door("GET", "/sessions", guard=signed_in, gives=SessionsOut)
def sessions(caller: Caller, who: Principal) -> SessionsOut:
    """List my open sessions."""
    devices = use(Sessions).devices(who.profile.id, who.profile.role)
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
    if not _ID.fullmatch(id) or not use(Sessions).end_one(caller, who.profile.id, id):
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


def _shown(body: RefreshIn) -> tuple[bool, list[str]]:
    """Return whether the cookie way is gone, and the tokens that the request shows. Raises CrossSite."""
    cookie = cookie_way().chosen()
    bearer = request.environ.get("HTTP_AUTHORIZATION", "")
    shown = [body.refresh_token, bearer[7:] if bearer[:7].lower() == "bearer " else bearer or None]
    return cookie, list(filter(None, [*shown, cookie_way().read() if cookie else None]))
