"""How long people stay signed in, and who may ask whether a token still holds."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from yaoshi.accounts.policy import Role
from yaoshi.core.config import Group, SecretList

_HOURS = re.compile(r"[1-9][0-9]{0,4}")


class PerRole(dict[str, int]):
    """Hours by role; the entry without a name is everybody else's."""

    def __str__(self) -> str:
        """Return it as it is written in the environment."""
        return ",".join(f"{role}={hours}" if role else str(hours) for role, hours in self.items())

    def lasts(self, role: str) -> timedelta:
        """Return the time of `role`."""
        return timedelta(hours=self.get(role, self[""]))


def _per_role(value: object) -> object:
    if not isinstance(value, str):
        return value
    read = PerRole()
    for part in value.split(","):
        role, _, hours = part.strip().rpartition("=")
        if not _HOURS.fullmatch(hours) or role not in ("", *Role) or role in read:
            raise ValueError("must be hours, and hours of roles, like 168,regulator=12")
        read[role] = int(hours)
    if "" not in read:
        raise ValueError("must begin with the hours of everybody, like 168,regulator=12")
    return read


Hours = Annotated[PerRole, NoDecode, BeforeValidator(_per_role)]


class SessionSettings(Group):
    """Settings of sessions."""

    access_token_minutes: int = Field(15, ge=1, le=12 * 60)
    """How long an access token lasts before the client refreshes, in minutes. Front-ends that never refresh set 720:
    every request asks the session anyway, so an end holds at once."""

    session_idle_hours: Hours = PerRole({"": 7 * 24})
    """A session that was not refreshed for so long is over, in hours: one number for all, and others for single roles
    (`168,regulator=12`). Source: ASVS 7.3.1."""

    session_absolute_hours: Hours = PerRole({"": 30 * 24})
    """A session is over after so long, whatever happens, in hours; written like the one before. Source: ASVS 7.3.2."""

    refresh_grace_seconds: int = Field(10, ge=0, le=60)
    """How long a refresh token that was just used still earns the same successor, in seconds: second tabs and lost
    answers. 0 is strict: of two tabs at once one is signed out, and both with it."""

    introspection_credentials: SecretList = Field((), repr=False)
    """Services that may ask whether an access token holds right now, as `name:secret`, separated by commas or blanks,
    secrets of 32 bytes or more. Without any the door is closed."""
