"""What pages need to know before anybody signs in: the rules of this installation, asked here instead of copied."""

from dataclasses import dataclass

from pydantic import BaseModel, Field

from yaoshi.core.phrases import LANGUAGES
from yaoshi.core.types import Caller
from yaoshi.passwords.policy import LEAST, MOST
from yaoshi.web.endpoint import Routes, public, use

routes = Routes("/api/auth")


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of this installation's operator."""

    name: str
    logo: str | None
    default_language: str
    open_roles: list[str]
    channels: list[str]
    sign_in_by_code: bool
    contact_verification: str
    resend_seconds: int


class PasswordRuleOut(BaseModel):
    """What a new password needs."""

    rule: str = "classic"
    least: int = LEAST
    most: int = MOST
    needs: list[str] = Field(["upper", "lower", "digit"], description="Kinds of characters, at least one of each.")


class OptionsOut(BaseModel):
    """The rules of this installation."""

    name: str = Field(description="What people know this installation as.")
    logo: str | None = Field(
        description="Where the logo of this installation is on this server; `null` when it has none."
    )
    languages: list[str]
    default_language: str
    open_roles: list[str] = Field(description="Roles that registration grants; other wishes wait for the operator.")
    password: PasswordRuleOut
    channels: list[str] = Field(description="By which codes can be sent: `email`, `phone`.")
    sign_in_by_code: bool
    contact_verification: str = Field(description="`off`, `asked`, or `required` before sign-in.")
    resend_seconds: int = Field(description="A new code for the same contact is made no sooner than this.")


@routes.door("GET", "/options", guard=public, gives=OptionsOut)
def options(caller: Caller) -> OptionsOut:
    """What are the rules here?"""
    chosen = use(Options)
    return OptionsOut(
        name=chosen.name,
        logo=chosen.logo,
        languages=list(LANGUAGES),
        default_language=chosen.default_language,
        open_roles=chosen.open_roles,
        password=PasswordRuleOut(),
        channels=chosen.channels,
        sign_in_by_code=chosen.sign_in_by_code,
        contact_verification=chosen.contact_verification,
        resend_seconds=chosen.resend_seconds,
    )
