"""What doors say of an account."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, PlainSerializer

from yaoshi.accounts.queries import Profile

Rfc3339 = Annotated[
    datetime,
    PlainSerializer(lambda at: at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), return_type=str),
]


class UserOut(BaseModel):
    """An account as its owner sees it."""

    id: int
    username: str
    email: str
    phone: str | None = Field(description="National digits for the default region (13800138000), E.164 for others.")
    role: str
    requested_role: str | None = Field(description="The role asked for at registration while it waits for approval.")
    created_at: Rfc3339 | None = Field(description="Null for some accounts adopted from the legacy system.")
    email_verified_at: Rfc3339 | None = Field(description="When the owner proved the e-mail address; null until then.")
    phone_verified_at: Rfc3339 | None = Field(description="When the owner proved the phone number; null until then.")

    @classmethod
    def of(cls, profile: Profile) -> "UserOut":
        """Return `profile` as doors show it; it comes from our own database, so nothing is validated again."""
        return cls.model_construct(None, **profile._asdict() | {"phone": profile.phone or None})
