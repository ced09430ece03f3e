"""How access tokens are signed, and whom they name.

A service that checks tokens by itself needs the same three things: the key, the issuer, the audience. Changing any of
them makes every token that is out in the world worthless at once: people sign in again, nothing else is lost.
Source: RFC 9068 §2.2 (the claims), RFC 8725 §3 (who must demand them).
"""

from typing import Literal

from pydantic import Field, field_validator

from yaoshi.core.config import Group, SecretList, origin_of


class KeySettings(Group):
    """Settings of access tokens."""

    jwt_secret_key: str = Field("", validation_alias="JWT_SECRET_KEY", repr=False)
    """Sign access tokens HS256 with this secret (32 bytes or more, shared with services that check tokens).
    Without it the server makes an ES256 key and keeps it sealed in the database."""

    jwt_secret_keys: SecretList = Field((), validation_alias="JWT_SECRET_KEYS", repr=False)
    """Instead of JWT_SECRET_KEY, several, newest first, separated by commas or blanks: the first signs, all verify."""

    signing_algorithm: Literal["ES256", "RS256", "EdDSA"] = "ES256"
    """What the server's own keys sign with. Changing it publishes a new key at the next start."""

    signing_key_days: int = Field(90, ge=1, le=3650)
    """A key older than this makes room for a new one, in days."""

    key_publish_seconds: int = Field(600, ge=2, le=86_400)
    """How long a new key is published before it signs: longer than other services keep the key set. They are told to
    keep it half as long."""

    public_url: str = Field("http://localhost", validation_alias="PUBLIC_URL")
    """The address under which callers reach this server, without a path; tokens name it as their issuer, and links in
    messages lead there. With https here every answer tells browsers to come by https alone."""

    audience: str = Field("yaoshi", min_length=1, max_length=200)
    """Whom access tokens are for; a service that checks tokens demands this name."""

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        return origin_of(value, "https://id.example.com")

    @property
    def shared_secrets(self) -> tuple[str, ...]:
        """Return the secrets of HS256, newest first; empty when the server's own keys sign."""
        return self.jwt_secret_keys or tuple(filter(None, [self.jwt_secret_key]))
