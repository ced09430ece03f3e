"""Who may be what without asking.

A role opens doors in a team's other services, so production opens none but `unauth` unless the operator says so.
"""

from typing import Annotated, Literal

from pydantic import field_validator
from pydantic_settings import NoDecode

from yaoshi.accounts.policy import Role
from yaoshi.core.config import Group


class AccountSettings(Group):
    """Settings of accounts."""

    self_assignable_roles: Annotated[frozenset[Role], NoDecode] = frozenset()
    """Roles that people may take at registration in production, comma-separated (`pharmacy,supplier`).
    `unauth` is always open; development opens all. Other wishes are kept as `requested_role`."""

    contact_verification: Literal["off", "asked", "required"] = "off"
    """Whether people prove their e-mail address or phone number: `asked` leaves it to the pages to ask, `required`
    lets nobody sign in who has proved neither."""

    @field_validator("self_assignable_roles", mode="before")
    @classmethod
    def _listed_roles(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
