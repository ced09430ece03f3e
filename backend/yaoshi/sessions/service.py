"""Sessions: opened, asked, refreshed, ended."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import delete, or_, update

from yaoshi.accounts.notices import Notice, Notices
from yaoshi.accounts.queries import Principal, Profile
from yaoshi.core import random
from yaoshi.core.db import Database, Prepared, Work, insert_into, stored_instant
from yaoshi.core.errors import Kind, NotOffered, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.together import Together
from yaoshi.core.types import Caller, Clock
from yaoshi.keys.service import AccessToken, Keys, TokenRefused
from yaoshi.limits.service import Limiter
from yaoshi.sessions import queries
from yaoshi.sessions.events import AllSessionsEnded, RefreshReplayed, SessionEnded
from yaoshi.sessions.models import LoginSession
from yaoshi.sessions.policy import DEVICE_MEMORY, Lasts, Verdict, is_strange
from yaoshi.sessions.queries import Device
from yaoshi.sessions.settings import SessionSettings
from yaoshi.sessions.tokens import RefreshTokens
from yaoshi.sessions.turns import Overtaken, Shown, Turns

_EARLIER = 0.05

_OPEN = Prepared(insert_into(LoginSession))


class Unauthenticated(Problem):
    """No token, one that is not ours, or one whose session or account is over. One answer for every cause."""

    kind, code = Kind.UNAUTHENTICATED, "unauthenticated"
    phrase = Phrase("Please sign in.", "请先登录。")


class SessionIsOver(Problem):
    """No usable refresh token, for whatever cause. One answer for every cause."""

    kind, code = Kind.UNAUTHENTICATED, "session_ended"
    phrase = Phrase("Your session has ended. Please sign in again.", "登录状态已失效，请重新登录。")


class UnknownClient(Problem):
    """The service that asks did not show a credential of ours."""

    kind, code = Kind.UNAUTHENTICATED, "invalid_client"
    phrase = Phrase("The service credential is wrong.", "服务凭据无效。")
    challenge = 'Basic realm="introspection"'


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client takes away; times are in whole seconds from now."""

    session_id: str
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


class Sessions:
    """Alone writes the table `sessions`."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        keys: Keys,
        limiter: Limiter,
        tokens: RefreshTokens,
        notices: Notices,
        settings: SessionSettings,
    ) -> None:
        self._db, self._clock, self._keys, self._limiter = db, clock, keys, limiter
        self._tokens, self._notices, self._settings = tokens, notices, settings
        self._lasts = cache(self._lasts_of)
        turns = Turns(self._lasts, timedelta(seconds=settings.refresh_grace_seconds))
        self._together = Together(db, turns.take)

    def open(self, work: Work, profile: Profile, *, replacing: str | None = None) -> Tokens:
        """Open a session on the caller's device; the oldest of more than ten ends, and the owner hears of a new device.

        `replacing` is the refresh token that the device held until now: its session ends, so that nobody who planted
        it shares what comes. Source: ASVS 7.2.4.
        """
        planted = self._tokens.read(replacing) if replacing else None
        if planted:
            self.end(work, planted.session_id, reason="replaced")
        strange = is_strange(work.caller.agent, queries.recent_agents(work, profile.id))
        lasts = self._lasts(profile.role)
        for surplus in queries.surplus(work, profile.id, lasts):
            self.end(work, surplus, reason="too_many", user_id=profile.id)
        session_id = str(random.new_id(work.now))
        expires_at = work.now + lasts.absolute
        now = stored_instant(work.now, work.db.dialect)
        row = {
            "id": session_id,
            "user_id": profile.id,
            "created_at": now,
            "last_seen_at": now,
            "expires_at": stored_instant(expires_at, work.db.dialect),
            "ended_at": None,
            "device": work.caller.agent,
            "address": work.caller.address,
            "counter": 0,
            "rotated_at": None,
        }
        work.put(_OPEN, row)
        if strange:
            self._notices.send(work, Notice.NEW_DEVICE, profile.id)
        return self._tokens_of(profile.id, session_id, 0, work.now, lasts.ends_at(work.now, work.now))

    def authenticate(self, authorization: str | None) -> Principal:
        """Return who presents this Authorization header. Raises Unauthenticated.

        Source: RFC 6750 §2.1; the scheme's case does not matter (RFC 9110 §11.1).
        """
        if not authorization or authorization[:7].lower() != "bearer ":
            raise Unauthenticated()
        found = self.inspect(authorization[7:])
        if found is None:
            raise Unauthenticated()
        return found[1]

    def inspect(self, access_token: str) -> tuple[AccessToken, Principal] | None:
        """Return what an access token says and whose it is, if it holds at this moment."""
        try:
            said = self._keys.verify(access_token)
        except TokenRefused:
            return None
        profile = queries.living(self._db, said.session_id, said.user_id, self._clock.now(), self._lasts)
        return (said, Principal(said.session_id, profile)) if profile else None

    def introspect(self, credential: str, access_token: str) -> tuple[AccessToken, Principal] | None:
        """Return what `inspect` does, to a service with a `name:secret` of ours. Raises UnknownClient, NotOffered."""
        known = self._settings.introspection_credentials
        if not known:
            raise NotOffered()
        if not any([hmac.compare_digest(credential.encode(), one.encode()) for one in known]):
            raise UnknownClient()
        return self.inspect(access_token)

    def refresh(self, caller: Caller, presented: str) -> Tokens:
        """Trade a refresh token for the next pair. Raises SessionIsOver, TooManyAttempts.

        Nothing is written for garbage, for a repeat, or for a session that is over already.
        """
        token = self._tokens.read(presented)
        if token is None:
            raise SessionIsOver()
        shown = Shown(token, self._limiter.refusal("refresh_session", token.session_id))
        try:
            earned = self._together.run(caller, shown)
        except Overtaken:
            # Who lost the race for the counter looks again, and now finds it moved.
            earned = self._together.run(caller, shown)
        if earned.verdict is Verdict.ROTATE:
            if shown.limited:
                raise shown.limited
            # Counted once it has happened, and before anybody holds the next token: the counter of the session lets
            # its rotations come one by one, so that none slips past, and tabs that repeat use up nothing.
            self._limiter.count("refresh_session", token.session_id)
        if earned.verdict in (Verdict.STOLEN, Verdict.EXPIRED):
            with self._db.write(caller) as work:
                ended = self.end(work, token.session_id, reason=earned.verdict.value)
                if ended and earned.verdict is Verdict.STOLEN:
                    work.record(RefreshReplayed(user_id=earned.user_id, session_id=token.session_id))
                    self._notices.send(work, Notice.SESSION_COPIED, earned.user_id)
        if earned.counter is None:
            raise SessionIsOver()
        return self._tokens_of(earned.user_id, token.session_id, earned.counter, earned.now, earned.end)

    def sign_out(self, caller: Caller, presented: Sequence[str]) -> None:
        """End the session that an access token names, or any of its refresh tokens; what names none does not count.

        Raises SessionIsOver, also where tokens of two sessions come together: nobody can tell which was meant.
        """
        named = set(filter(None, map(self._session_of, presented)))
        if len(named) != 1:
            raise SessionIsOver()
        with self._db.write(caller) as work:
            if not self.end(work, named.pop(), reason="signed_out"):
                raise SessionIsOver()

    def sign_out_everywhere(self, caller: Caller, user_id: int) -> None:
        """End every session of the account."""
        with self._db.write(caller) as work:
            self.end_all(work, user_id)
            work.record(AllSessionsEnded(user_id=user_id))
            self._notices.send(work, Notice.SESSIONS_ENDED, user_id)

    def devices(self, user_id: int, role: str) -> list[Device]:
        """Return the open sessions of an account of this role, the newest first."""
        with self._db.read() as db:
            return queries.open_sessions(db, user_id, self._clock.now(), self._lasts(role))

    def end_one(self, caller: Caller, user_id: int, session_id: str) -> bool:
        """End one session of the account; return whether there was such a one."""
        with self._db.write(caller) as work:
            return self.end(work, session_id, reason="ended", user_id=user_id)

    def end(self, work: Work, session_id: str, *, reason: str, user_id: int | None = None) -> bool:
        """End an open session, given `user_id` only if it is that account's; return whether it was ended."""
        change = update(LoginSession).where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
        if user_id is not None:
            change = change.where(LoginSession.user_id == user_id)
        owner = work.db.execute(change.values(ended_at=work.now).returning(LoginSession.user_id)).scalar()
        if owner is not None:
            work.record(SessionEnded(user_id=owner, session_id=session_id, reason=reason))
        return owner is not None

    def end_all(self, work: Work, user_id: int) -> None:
        """End every session of the account; it holds for every request that begins after the commit."""
        work.db.execute(
            update(LoginSession)
            .where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
            .values(ended_at=work.now)
        )

    def purge(self, work: Work, before: datetime) -> int:
        """Delete sessions that ended or expired before `before`, when their device is forgotten; return how many."""
        before = min(before, work.now - DEVICE_MEMORY)
        over = or_(LoginSession.ended_at < before, LoginSession.expires_at < before)
        return work.db.execute(delete(LoginSession).where(over)).rowcount

    def _session_of(self, presented: str) -> str | None:
        token = self._tokens.read(presented)
        if token:
            return token.session_id
        found = self.inspect(presented)
        return found[0].session_id if found else None

    def _lasts_of(self, role: str) -> Lasts:
        return Lasts(self._settings.session_idle_hours.lasts(role), self._settings.session_absolute_hours.lasts(role))

    def _tokens_of(self, user_id: int, session_id: str, counter: int, now: datetime, end: datetime) -> Tokens:
        # A few percent shorter, drawn each time: tabs that began together do not come back together.
        life = timedelta(minutes=self._settings.access_token_minutes) * (1 - _EARLIER * random.fraction())
        expires_at = min(now + life, end)
        return Tokens(
            session_id,
            self._keys.sign(user_id, session_id, now, expires_at),
            int(expires_at.timestamp()) - int(now.timestamp()),
            self._tokens.write(session_id, counter),
            int((end - now).total_seconds()),
        )
