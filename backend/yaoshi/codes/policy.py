"""How long a code is, and what typed text can be one. Pure.

Whoever guesses makes codes longer instead of shutting their owner out. Source: OWASP ASVS 6.6.3.
"""

import re
import unicodedata
from datetime import timedelta
from enum import Enum, StrEnum

OWN_WINDOW, HOUR, DAY = timedelta(days=30), timedelta(hours=1), timedelta(days=1)
MOST_OWN, MOST_OWN_BY_FAR, MOST_AN_HOUR, MOST_A_DAY = 20, 200, 200, 500
LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""What long codes are made of: no character that looks like another."""

_SHAPES = re.compile(r"[0-9]{6}|[0-9]{8}|[0-9A-Z]{12}")


class Purpose(StrEnum):
    """What a code is good for, and for nothing else."""

    RESET = "reset"
    CONTACT = "contact"
    SIGN_IN = "sign_in"


class Shape(Enum):
    """What a code looks like."""

    SIX_DIGITS = 6
    EIGHT_DIGITS = 8
    TWELVE_LETTERS = 12


def shape_of(own: int, hour: int, day: int) -> Shape:
    """Return the shape of a new code after wrong tries: `own` of this account in 30 days, and of all in `hour`, `day`.

    Somebody who guesses at one account gets there with less than 2.3e-5 in 30 days. Somebody who guesses at many has
    501 tries a day at six digits, so one account in two thousand days, and one in 1e8 for each further try.
    """
    if own > MOST_OWN_BY_FAR:
        return Shape.TWELVE_LETTERS
    if own > MOST_OWN or is_attacked(hour, day):
        return Shape.EIGHT_DIGITS
    return Shape.SIX_DIGITS


def is_attacked(hour: int, day: int) -> bool:
    """Return whether so many codes were guessed at that somebody does it to the whole installation."""
    return hour > MOST_AN_HOUR or day > MOST_A_DAY


def read_code(typed: str) -> str | None:
    """Return the code that was typed, full-width signs, small letters and outer blanks folded; None for other text."""
    folded = unicodedata.normalize("NFKC", typed[:64]).strip().upper()
    return folded if _SHAPES.fullmatch(folded) else None
