"""Registering."""

from yaoshi.accounts.queries import Profile
from yaoshi.accounts.service import Accounts, NewAccount
from yaoshi.core.db import Database
from yaoshi.core.types import Caller
from yaoshi.limits.service import Limiter
from yaoshi.passwords.service import Passwords


class SignUp:
    """The journey from a stranger to an account."""

    def __init__(self, db: Database, limiter: Limiter, accounts: Accounts, passwords: Passwords) -> None:
        self._db, self._limiter, self._accounts, self._passwords = db, limiter, accounts, passwords

    def register(self, caller: Caller, new: NewAccount, plain: str) -> Profile:
        """Open an account with a password that has been judged.

        Every well-formed wish spends one of the caller's address, granted or not: a refusal tells who exists.
        Raises TooManyAttempts, Overloaded, IdentifierTaken.
        """
        with self._limiter.attempt() as attempt:
            self._limiter.spend_by_address(attempt, caller, "register_address")
            with self._passwords.hashing() as hashing:
                # A shed request did no harm, so its count returns; from here on it stands.
                attempt.keep()
                digest = hashing.hash(plain)
        with self._db.write(caller) as work:
            return self._accounts.open(work, new, digest)
