"""What SMS may cost: counted before each is sent, in the main database; when counting fails nothing is sent."""

import phonenumbers
import structlog
from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter

from yaoshi.core.errors import StorageUnavailable
from yaoshi.core.types import SHARED_SOURCE, Clock
from yaoshi.limits.storage import Counters
from yaoshi.messaging.settings import MessagingSettings

PREFIX_LENGTH = 7
RATIO_SAMPLE, LEAST_PROVED = 50, 0.3
_NUMBER, _PREFIX, _SOURCE, _DAY = map(parse, ("10 per day", "20 per hour", "50 per day", "1 per day"))
_MANY = parse("500 per day")
_TWO_DAYS = 2 * _DAY.get_expiry()
_SMS_TYPES = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)

Spent = list[tuple[RateLimitItem, str]]


class OverBudget(Exception):
    """This SMS must not be sent; the text says which rule forbids it."""


def alarm(reason: str, /, **facts: object) -> None:
    """Tell the operator that somebody should look at messages now: an error in the log whose event is `reason`.

    Reasons are for ever: operators watch for them. They stand in docs/messages.md.
    """
    structlog.get_logger().error(reason, **facts)


class Budget:
    """Decides whether one more SMS may be sent.

    Against SMS pumping: countries, kinds of number, so many a day in all; of codes, which strangers can ask for, 10 a
    day to a number, 20 an hour to numbers that share their first seven digits, 50 a day asked for from one address; and
    a prefix whose codes are hardly ever typed in (under 30 % of 50 or more within a day) is paused until the day is
    over. Notices have 10 a day to a number of their own: who uses up the codes silences no warning.
    Source: OWASP ASVS 6.6.3.
    """

    def __init__(self, storage: Counters, settings: MessagingSettings, clock: Clock) -> None:
        self._storage, self._countries, self._clock = storage, settings.sms_countries, clock
        self._windows = FixedWindowRateLimiter(storage)
        self._most = settings.sms_most() if settings.sms_daily_max is not None else None

    def spend(self, number: str, source: str, *, is_code: bool) -> Spent:
        """Count one SMS to `number` (E.164) that `source` asked for. Raises OverBudget, StorageUnavailable.

        Only codes can be typed in, so only they count for a prefix's share.
        """
        self._judge(number)
        try:
            return self._count(number, source, is_code=is_code)
        except StorageUnavailable:
            alarm("sms_uncounted")
            raise

    def _count(self, number: str, source: str, *, is_code: bool) -> Spent:
        rates = [(_NUMBER, f"sms number {number}" if is_code else f"sms notices {number}")]
        sent = self._share("sent", number)
        if is_code:
            if self._is_paused(number):
                raise OverBudget("prefix paused: hardly any code is typed in")
            rates += [(_PREFIX, f"sms prefix {_prefix(number)}")]
            rates += [(_MANY if source == SHARED_SOURCE else _SOURCE, f"sms source {source}")]
        if self._most is not None:
            rates += [(type(_DAY)(self._most), "sms day")]
        spent: Spent = []
        for rate, key in rates:
            if not (rate.amount and self._windows.hit(rate, key)):
                self.give_back(spent)
                alarm("sms_over_budget", rule=key.split()[1])
                raise OverBudget(f"{key.split()[1]}: {rate}")
            spent.append((rate, key))
        if not is_code:
            return spent
        self._storage.incr(sent, _TWO_DAYS)
        return [*spent, (_DAY, sent)]

    def give_back(self, spent: Spent) -> None:
        """Return the counts of an SMS that surely was not sent."""
        for rate, key in spent:
            self._storage.decr(key if key.startswith("sms sent") else rate.key_for(key))

    def proved(self, number: str) -> None:
        """Say that a code sent to `number` was typed in; one that no SMS goes to counts for nothing."""
        if number.startswith("+"):
            self._storage.incr(self._share("proved", number), _TWO_DAYS)

    def _judge(self, number: str) -> None:
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            raise OverBudget("not a phone number") from None
        if str(parsed.country_code) not in self._countries:
            alarm("sms_country_refused", country=parsed.country_code)
            raise OverBudget("country")
        if phonenumbers.number_type(parsed) not in _SMS_TYPES:
            alarm("sms_number_refused", prefix=_prefix(number))
            raise OverBudget("not a mobile number")

    def _is_paused(self, number: str) -> bool:
        sent = self._storage.get(self._share("sent", number))
        paused = sent >= RATIO_SAMPLE and self._storage.get(self._share("proved", number)) < sent * LEAST_PROVED
        if paused:
            alarm("sms_prefix_paused", prefix=_prefix(number), sent=sent)
        return paused

    def _share(self, what: str, number: str) -> str:
        # By the day, so that what is compared begins together.
        return f"sms {what} {_prefix(number)} {self._clock.now():%Y%m%d}"


def _prefix(number: str) -> str:
    parsed = phonenumbers.parse(number)
    return f"+{parsed.country_code}{str(parsed.national_number)[:PREFIX_LENGTH]}"
