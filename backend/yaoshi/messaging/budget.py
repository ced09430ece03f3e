"""What SMS may cost: counted before each is sent, in the main database; when counting fails nothing is sent."""

import phonenumbers
import structlog
from limits import RateLimitItem, parse
from limits.strategies import FixedWindowRateLimiter

from yaoshi.limits.storage import Counters
from yaoshi.messaging.settings import MessagingSettings

PREFIX_LENGTH = 7
RATIO_SAMPLE, LEAST_PROVED = 50, 0.3
_NUMBER, _PREFIX, _SOURCE, _DAY = map(parse, ("10 per day", "20 per hour", "50 per day", "1 per day"))
_SMS_TYPES = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)

Spent = list[tuple[RateLimitItem, str]]


class OverBudget(Exception):
    """This SMS must not be sent; the text says which rule forbids it."""


class Budget:
    """Decides whether one more SMS may be sent.

    Against SMS pumping: countries, kinds of number, 10 a day to a number, 20 an hour to numbers that share their first
    seven digits, 50 a day asked for from one address, so many a day in all; and a prefix whose codes are hardly ever
    typed in (under 30 % of 50 or more within a day) is paused until the day is over. Source: OWASP ASVS 6.6.3.
    """

    def __init__(self, storage: Counters, settings: MessagingSettings) -> None:
        self._storage, self._countries = storage, settings.sms_countries
        self._windows = FixedWindowRateLimiter(storage)
        self._most = type(_DAY)(max(1, settings.sms_most()))
        self._capped = settings.sms_daily_max is not None

    def spend(self, number: str, source: str, *, is_code: bool) -> Spent:
        """Count one SMS to `number` (E.164) that `source` asked for. Raises OverBudget, StorageUnavailable.

        Only codes can be typed in, so only they count for a prefix's share.
        """
        self._judge(number)
        prefix = _prefix(number)
        if self._is_paused(prefix):
            raise OverBudget("prefix paused: hardly any code is typed in")
        spent: Spent = []
        rates = [
            (_NUMBER, f"sms number {number}"),
            (_PREFIX, f"sms prefix {prefix}"),
            (_SOURCE, f"sms source {source}"),
        ]
        for rate, key in rates + ([(self._most, "sms day")] if self._capped else []):
            if not self._windows.hit(rate, key):
                self.give_back(spent)
                structlog.get_logger().error("sms_over_budget", rule=key.split()[1])
                raise OverBudget(f"{key.split()[1]}: {rate}")
            spent.append((rate, key))
        if not is_code:
            return spent
        self._storage.incr(_sent(prefix), _DAY.get_expiry())
        return [*spent, (_DAY, _sent(prefix))]

    def give_back(self, spent: Spent) -> None:
        """Return the counts of an SMS that surely was not sent."""
        for rate, key in spent:
            self._storage.decr(key if key.startswith("sms sent") else rate.key_for(key))

    def proved(self, number: str) -> None:
        """Say that a code sent to `number` was typed in."""
        self._storage.incr(_proved(_prefix(number)), _DAY.get_expiry())

    def _judge(self, number: str) -> None:
        try:
            parsed = phonenumbers.parse(number)
        except phonenumbers.NumberParseException:
            raise OverBudget("not a phone number") from None
        if str(parsed.country_code) not in self._countries:
            raise OverBudget("country")
        if phonenumbers.number_type(parsed) not in _SMS_TYPES:
            raise OverBudget("not a mobile number")

    def _is_paused(self, prefix: str) -> bool:
        sent = self._storage.get(_sent(prefix))
        paused = sent >= RATIO_SAMPLE and self._storage.get(_proved(prefix)) < sent * LEAST_PROVED
        if paused:
            structlog.get_logger().error("sms_prefix_paused", prefix=prefix, sent=sent)
        return paused


def _prefix(number: str) -> str:
    parsed = phonenumbers.parse(number)
    return f"+{parsed.country_code}{str(parsed.national_number)[:PREFIX_LENGTH]}"


def _sent(prefix: str) -> str:
    return f"sms sent {prefix}"


def _proved(prefix: str) -> str:
    return f"sms proved {prefix}"
