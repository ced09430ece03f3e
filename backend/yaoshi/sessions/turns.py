"""What refresh tokens earn, and the counters that move for it: for all tokens of one transaction together."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, update

from yaoshi.core.db import Prepared, Work, stored_instant
from yaoshi.limits.service import TooManyAttempts
from yaoshi.sessions import queries
from yaoshi.sessions.models import LoginSession
from yaoshi.sessions.policy import Lasts, Standing, Verdict, judge_refresh
from yaoshi.sessions.tokens import Presented

# Compare and swap: of many who hold the same token one moves the counter, and none does once the session is over.
_MOVE = Prepared(
    update(LoginSession)
    .where(
        LoginSession.id == bindparam("moved"),
        LoginSession.counter == bindparam("from_counter"),
        LoginSession.ended_at.is_(None),
    )
    .values(counter=LoginSession.counter + 1, rotated_at=bindparam("at"), last_seen_at=bindparam("at"))
)


class Shown(NamedTuple):
    """A refresh token that somebody shows, and the refusal where its session has rotated enough for now."""

    token: Presented
    limited: TooManyAttempts | None


class Earned(NamedTuple):
    """What a refresh token earned: with a counter, that token of the session."""

    verdict: Verdict
    user_id: int = 0
    counter: int | None = None
    now: datetime = datetime.min  # noqa: DTZ901  # never read without a counter
    end: datetime = datetime.min  # noqa: DTZ901


class Overtaken(Exception):
    """Somebody else moved the counter, or ended the session, between our look and our write."""


class Turns:
    """Takes tokens in turn. `lasts` tells how long sessions of a role last, `grace` how long a repeat is forgiven."""

    def __init__(self, lasts: Callable[[str], Lasts], grace: timedelta) -> None:
        self._lasts, self._grace = lasts, grace

    def take(self, work: Work, shown: list[Shown]) -> list[Earned]:
        """Judge tokens in the order they came, and move the counters of those that rotate. Raises Overtaken."""
        standings = {token.session_id: queries.standing(work, token.session_id) for token, _ in shown}
        at = stored_instant(work.now, work.db.dialect)
        earned: list[Earned] = []
        moves: list[dict[str, Any]] = []
        for token, limited in shown:
            standing = standings[token.session_id]
            end = self._ends_at(standing) if standing else None
            verdict = judge_refresh(token.counter, standing, now=work.now, end=end, grace=self._grace)
            if standing is None or end is None:
                earned.append(Earned(verdict))
                continue
            if verdict is Verdict.ROTATE and not limited:
                moves.append({"moved": token.session_id, "from_counter": token.counter, "at": at})
                standing = standing._replace(counter=token.counter + 1, rotated_at=work.now, last_seen_at=work.now)
                standings[token.session_id], end = standing, self._ends_at(standing)
            earns = verdict in (Verdict.ROTATE, Verdict.REPEAT)
            earned.append(Earned(verdict, standing.user_id, standing.counter if earns else None, work.now, end))
        if moves and work.put_all(_MOVE, moves) != len(moves):
            raise Overtaken()
        return earned

    def _ends_at(self, standing: Standing) -> datetime:
        ends = self._lasts(standing.role).ends_at(standing.created_at, standing.last_seen_at)
        return min(standing.expires_at, ends)
