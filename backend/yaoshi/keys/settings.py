"""How access tokens are signed, and whom they name.

A service that checks tokens by itself needs the same three things: the key, the issuer, the audience. Changing any of
them makes every token that is out in the world worthless at once: people sign in again, nothing else is lost.
Source: RFC 9068 §2.2 (the claims), RFC 8725 §3 (who must demand them).
"""

from pydantic import Field

from yaoshi.core.config import Group


class KeySettings(Group):
    """Settings of access tokens."""

    jwt_secret_key: str = Field("", validation_alias="JWT_SECRET_KEY", repr=False)
    """Sign access tokens HS256 with this secret (32 bytes or more, shared with services that check tokens).
    Without it the server makes an ES256 key and keeps it sealed in the database."""

    public_url: str = Field("http://localhost", validation_alias="PUBLIC_URL", pattern=r"^https?://[^/?#\s]+$")
    """The address under which callers reach this server, without a path; tokens name it as their issuer.
    With https here every answer tells browsers to come by https alone."""

    audience: str = Field("yaoshi", min_length=1, max_length=200)
    """Whom access tokens are for; a service that checks tokens demands this name."""
