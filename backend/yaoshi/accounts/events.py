"""Facts about accounts, and the refusal at their creation."""

from dataclasses import dataclass
from typing import ClassVar

from yaoshi.core.errors import Kind, Problem
from yaoshi.core.phrases import Phrase
from yaoshi.core.types import Event


class IdentifierTaken(Problem):
    """The username (or one that looks the same), e-mail address or phone number belongs to somebody."""

    kind, code = Kind.CONFLICT, "identifier_taken"
    phrase = Phrase("The username, e-mail address or phone number is already in use.", "用户名、邮箱或手机号已存在。")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened(Event):
    """Somebody registered, or the operator made an account."""

    name: ClassVar[str] = "accounts.opened"
    role: str
    requested_role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSet(Event):
    """The operator gave an account another role."""

    name: ClassVar[str] = "accounts.role_set"
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactProven(Event):
    """The owner proved a contact; `moved` says whether it took the place of another."""

    name: ClassVar[str] = "accounts.contact_proven"
    channel: str
    moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDisabled(Event):
    """The operator shut an account."""

    name: ClassVar[str] = "accounts.disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEnabled(Event):
    """The operator opened a shut account again."""

    name: ClassVar[str] = "accounts.enabled"
