"""Every group of settings, read once and judged together: what must not start, does not start."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import load_dotenv
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import NoDecode

from yaoshi.accounts.settings import AccountSettings
from yaoshi.codes.service import CodeSettings
from yaoshi.core.config import SecretList, origin_of
from yaoshi.core.errors import SettingsRefused
from yaoshi.core.sources import environment_name
from yaoshi.keys.settings import KeySettings
from yaoshi.limits.settings import LimitSettings
from yaoshi.messaging.settings import MessagingSettings
from yaoshi.passwords.service import PasswordSettings
from yaoshi.sessions.settings import SessionSettings
from yaoshi.web.callers import parse_networks
from yaoshi.web.console import logo_of

LEAST_SECRET_NBYTES = 32
DEFAULT_PORT = 5000
_WELL_KNOWN = [
    "changeme",
    "change-me",
    "change_me",
    "secret-key",
    "secret_key",
    "secretkey",
    "jwt-secret",
    "jwt_secret",
    "dev-secret",
    "dev_secret",
    "test-secret",
    "your-secret",
    "your_secret",
    "my-secret",
    "my_secret",
    "supersecret",
    "super-secret",
    "example",
    "replace",
    "placeholder",
    "insecure",
    "default",
]
_DEBUG_FLAGS = ("FLASK_DEBUG", "DEBUG", "TESTING", "FLASK_TESTING", "PROFILE", "FLASK_PROFILE")
_OUR_OWN = {"YAOSHI_INSTANCE_DIR", "YAOSHI_SECRETS_DIR", "YAOSHI_VAULT_SECRET"}
_Listed = Annotated[tuple[str, ...], NoDecode]


class Mode(StrEnum):
    """Whom the server is for: this machine's developer, or the world."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class DoorSettings(KeySettings):
    """Where the server lives and who may reach it."""

    mode: Mode = Field(Mode.PRODUCTION, validation_alias="FLASK_ENV")
    """`development` (serves this machine only and shows reset codes) or `production`."""

    secret_key: str = Field("", validation_alias="SECRET_KEY", repr=False)
    """The installation's one secret, 32 bytes or more: code peppers and sealing keys are derived from it.
    Make one: `python -c "import secrets; print(secrets.token_urlsafe(48))"`. Development makes its own."""

    secret_keys: SecretList = Field((), validation_alias="SECRET_KEYS", repr=False)
    """Instead of SECRET_KEY, several, newest first, separated by commas or blanks: what an older one sealed is still
    opened, until `yaoshi secrets rotate` and the sessions' idle time have passed."""

    database_url: str = Field("", validation_alias="DATABASE_URL", repr=False)
    """`sqlite:///name.db` (relative: in the instance folder) or `postgresql://user:password@host/name`.
    Default: the one SQLite file of the instance folder."""

    cors_origins: _Listed = ()
    """Origins of browser apps that may call, exact and comma-separated (`https://app.example.com`).
    Development adds every page of this machine."""

    trusted_proxies: _Listed = ()
    """Addresses or networks of reverse proxies whose `X-Forwarded-For` or `Forwarded` counts, comma-separated."""

    development_hosts: _Listed = ()
    """Further host names that mean this machine in development, comma-separated."""

    default_language: Literal["zh-CN", "en"] = "zh-CN"
    """The language of answers for callers that ask for none."""

    installation_logo: Path | None = None
    """An SVG or PNG file of at most 100 kB that the pages show beside the installation's name, on white."""

    api_page: bool = True
    """Whether `/openapi.json` and `/docs` are served."""

    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Serve figures for Prometheus at this port. Each process (server or worker) takes the first free one from here on.
    Without it nothing is counted."""

    metrics_host: str = "127.0.0.1"
    """The address that the figures are served on: this machine's own, or in a container `0.0.0.0`."""

    @field_validator("cors_origins", "trusted_proxies", "development_hosts", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin_of(origin, "https://app.example.com") for origin in value)

    @field_validator("installation_logo")
    @classmethod
    def _logo(cls, value: Path | None) -> Path | None:
        if value:
            logo_of(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_networks(",".join(value))
        return value


class Settings(
    DoorSettings,
    AccountSettings,
    CodeSettings,
    LimitSettings,
    MessagingSettings,
    PasswordSettings,
    SessionSettings,
):
    """All of it. Services receive it as their own group."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the installation's secrets, newest first; empty when none is given."""
        return self.secret_keys or tuple(filter(None, [self.secret_key]))

    @property
    def development(self) -> bool:
        """Whether this is the developer's own machine."""
        return self.mode is Mode.DEVELOPMENT

    @property
    def links_url(self) -> str:
        """Return where links in messages lead: PUBLIC_URL, in development else the port that is served."""
        if self.development and "public_url" not in self.model_fields_set:
            return f"http://127.0.0.1:{os.environ.get('_YAOSHI_PORT', DEFAULT_PORT)}"
        return self.public_url


def load(default_mode: Mode | None = None, env_file: Path | None = None) -> tuple[Settings, list[str]]:
    """Return the settings of this process and what its owner should hear about them.

    What `env_file` names joins the environment, which wins. Raises SettingsRefused with one sentence that names the
    setting and the way out.
    """
    if env_file:
        load_dotenv(env_file)
    given: dict[str, Any] = {"mode": default_mode} if default_mode and not os.environ.get("FLASK_ENV") else {}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsRefused(" ".join(map(_told, error.errors(include_url=False, include_input=False)))) from None
    for one, several in (("secret_key", "secret_keys"), ("jwt_secret_key", "jwt_secret_keys")):
        if getattr(settings, one) and getattr(settings, several):
            raise SettingsRefused(f"{one.upper()} and {several.upper()} are both set: leave one out.")
    if settings.lacks():
        raise SettingsRefused(
            f"{' and '.join(settings.lacks())} must be set for the message providers that are chosen."
        )
    if settings.sms_daily_budget and not settings.sms_price:
        raise SettingsRefused(
            "YAOSHI_SMS_DAILY_BUDGET limits nothing without YAOSHI_SMS_PRICE: set what one SMS costs."
        )
    if settings.development:
        settings, warnings = _without_weak_secrets(settings)
        return settings, warnings + _misspelt()
    _refuse_unsafe(settings)
    return settings, _misspelt()


def weakness(secret: str) -> str | None:
    """Return why `secret` protects nothing, or None. The reason never holds the secret."""
    if not secret:
        return "is missing"
    if len(secret.encode()) < LEAST_SECRET_NBYTES:
        return f"is shorter than {LEAST_SECRET_NBYTES} bytes"
    if len(set(secret)) < 10:
        return "repeats a few characters"
    if any(known in secret.lower() for known in _WELL_KNOWN):
        return "is a well-known example"
    return None


def _refuse_unsafe(settings: Settings) -> None:
    _refuse_weak_secrets(settings)
    for name in _DEBUG_FLAGS:
        if os.environ.get(name, "").lower() not in ("", "0", "false", "no", "off"):
            raise SettingsRefused(f"{name} is set: production never runs with debug flags. Unset it.")
    _refuse_unreachable(settings)
    for origin in settings.cors_origins:
        if not origin.startswith("https://") or "*" in origin:
            raise SettingsRefused(
                f"YAOSHI_CORS_ORIGINS holds {origin}: in production each must be exact, like https://app.example.com."
            )


def _refuse_unreachable(settings: Settings) -> None:
    """Refuse what would leave people before a door that never opens, or with links that lead nowhere."""
    if settings.contact_verification == "required" and not settings.smtp_url:
        raise SettingsRefused(
            "YAOSHI_CONTACT_VERIFICATION=required needs YAOSHI_SMTP_URL: else nobody new could ever sign in."
        )
    if (settings.smtp_url or settings.sms_providers) and "public_url" not in settings.model_fields_set:
        raise SettingsRefused(
            "PUBLIC_URL must be set where messages are sent: their links lead there. Example: https://id.example.com"
        )


def _refuse_weak_secrets(settings: Settings) -> None:
    make = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(48))"'
    own, shared = settings.secrets, settings.shared_secrets
    services = [credential.partition(":")[2] for credential in settings.introspection_credentials]
    judged = (
        ("SECRET_KEYS" if settings.secret_keys else "SECRET_KEY", own or ("",), make),
        (
            "JWT_SECRET_KEYS" if settings.jwt_secret_keys else "JWT_SECRET_KEY",
            shared,
            f"{make}, or leave it out: the server then makes its own key",
        ),
        ("YAOSHI_INTROSPECTION_CREDENTIALS (name:secret)", services, make),
        ("YAOSHI_SMS_WEBHOOK_SECRET", filter(None, [settings.sms_webhook_secret]), make),
    )
    for name, secrets, way_out in judged:
        for reason in filter(None, map(weakness, secrets)):
            raise SettingsRefused(f"{name} {reason}. {way_out}.")
    if set(own) & set(shared):
        raise SettingsRefused("JWT_SECRET_KEY and SECRET_KEY must differ: one secret serves one purpose.")


def _without_weak_secrets(settings: Settings) -> tuple[Settings, list[str]]:
    """Development runs on secrets of its own where the given ones are weak: old tokens signed by them stay void."""
    blank: dict[str, Any] = {"secret_key": "", "secret_keys": (), "jwt_secret_key": "", "jwt_secret_keys": ()}
    weak = [
        field
        for field, none in blank.items()
        if any(map(weakness, filter(None, [getattr(settings, field)] if none == "" else getattr(settings, field))))
    ]
    if not weak:
        return settings, []
    listed = " and ".join(field.upper() for field in weak)
    warning = f"{listed}: too weak, not used (development makes its own; production would refuse to start)."
    return settings.model_copy(update={field: blank[field] for field in weak}), [warning]


def _misspelt() -> list[str]:
    known = {environment_name(name, field) for name, field in Settings.model_fields.items()} | _OUR_OWN
    known |= {name + "_FILE" for name in known}
    seen = {name for name in os.environ if name.startswith("YAOSHI_")}
    return [f"{name} is not a setting of this version; it was ignored." for name in sorted(seen - known)]


def _told(error: Any) -> str:
    name = str(error["loc"][0])
    field = Settings.model_fields.get(name)
    return f"{environment_name(name, field) if field else name}: {error['msg'].removeprefix('Value error, ')}."
