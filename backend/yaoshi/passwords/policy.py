"""What a new password must be: the rule `classic`. Pure. Checking a password never applies it."""

import unicodedata
from functools import cache
from importlib.resources import files

from yaoshi.core.errors import Fault

LEAST, MOST = 8, 128


def judge(plain: str, field: str) -> list[Fault]:
    """Return all that is wrong with a new password, as faults of `field`.

    8 to 128 code points in NFC with an upper-case letter, a lower-case letter and a digit, and not one of the
    commonest that satisfy this. Blanks and every script are welcome. Source: the frozen contract; ASVS 6.2.4.
    """
    password = unicodedata.normalize("NFC", plain)
    checks = (
        (len(password) < LEAST, Fault(field, "too_short", {"least": LEAST})),
        (len(password) > MOST, Fault(field, "too_long", {"most": MOST})),
        (not any(map(str.isupper, password)), Fault(field, "no_upper")),
        (not any(map(str.islower, password)), Fault(field, "no_lower")),
        (not any(map(str.isdigit, password)), Fault(field, "no_digit")),
        (password in commonest(), Fault(field, "too_common")),
    )
    return [fault for wrong, fault in checks if wrong]


@cache
def commonest() -> frozenset[str]:
    """Return the commonest passwords that satisfy the rest of the rule; `scripts/commonest.py` makes the list."""
    return frozenset((files(__package__) / "commonest.txt").read_text(encoding="utf-8").split())
