"""How often things may be tried."""

from typing import Annotated, Literal

from limits import parse
from pydantic import AfterValidator

from yaoshi.core.config import Group


def _is_rate(text: str) -> str:
    parse(text)
    return text


Rate = Annotated[str, AfterValidator(_is_rate)]


class LimitSettings(Group):
    """Rates, each as `number/span`, such as `5/15minute` or `100/hour`."""

    limit_register_address: Rate = "20/hour"
    """Registrations from one address."""

    limit_login_pair: Rate = "5/15minute"
    """Failed sign-ins of one account name from one address."""

    limit_login_address: Rate = "50/hour"
    """Failed sign-ins from one address."""

    limit_login_account: Rate = "100/hour"
    """Failed sign-ins and wrong old passwords of one account, from all addresses."""

    limit_reset_address: Rate = "20/hour"
    """Codes asked for from one address, to reset a password or to sign in."""

    limit_reset_account: Rate = "5/hour"
    """Codes asked for one account and channel, to reset a password or to sign in."""

    limit_contact_account: Rate = "5/hour"
    """Codes that an owner asks for to prove one contact."""

    limit_contact_target: Rate = "5/hour"
    """Codes sent to one new e-mail address or phone number, whichever accounts ask: nobody's mailbox is flooded."""

    limit_refresh_session: Rate = "60/minute"
    """Refresh tokens traded in one session; the same answer given again costs nothing."""

    counters: Literal["memory", "database"] | None = None
    """Where attempts are counted: `memory` of the one process, or the `database` that all processes share. Default:
    memory for one process on SQLite, else the database. Processes on one file that would count apart do not start."""
