"""What doors answer to whoever asked for a code."""

from typing import Self

from pydantic import BaseModel, Field

from yaoshi.codes.service import Issued


class CodeSentOut(BaseModel):
    """The same answer in every case."""

    msg: str
    expires_in: int = Field(description="Seconds for which a code is valid.")


class CodeShownOut(CodeSentOut):
    """The answer in development mode, where nobody else is there to see."""

    debug_code: str | None = Field(
        None, description="The code itself, whenever one was made.", exclude_if=lambda v: v is None
    )

    @classmethod
    def showing(cls, told: CodeSentOut, issued: Issued | None) -> Self:
        """Return `told` with the code, if one was made."""
        return cls(msg=told.msg, expires_in=told.expires_in, debug_code=issued.shown if issued else None)
