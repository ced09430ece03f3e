"""The sign-in decision. Pure."""

from enum import Enum


class Outcome(Enum):
    """What a password attempt earned; the value is what the audit log keeps."""

    ADMIT = "admit"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105  # the name of a refusal
    DISABLED = "disabled"


def judge_signin(*, password_ok: bool, active: bool) -> Outcome:
    """Decide what a password attempt earns.

    Standing is looked at only after the password: a stranger must not learn that an account is disabled, and the
    log must not call a guess anything else than a guess.
    """
    if not password_ok:
        return Outcome.WRONG_PASSWORD
    return Outcome.ADMIT if active else Outcome.DISABLED
