"""Notices: what an owner is told when something happens to the account, with a link that says "this was not me"."""

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

from yaoshi.accounts import queries
from yaoshi.accounts.queries import Account
from yaoshi.accounts.slips import DISOWN, LINK_LIFE, Slips
from yaoshi.core.db import Work
from yaoshi.core.phrases import Phrase
from yaoshi.messaging.budget import alarm
from yaoshi.messaging.service import Messages
from yaoshi.outbox.service import Parcel

USELESS_AFTER = timedelta(hours=24)
_TOLD_IN = {"zh-CN": (timezone(timedelta(hours=8)), "%Y-%m-%d %H:%M"), "en": (UTC, "%Y-%m-%d %H:%M UTC")}


class Notice(Enum):
    """What people are told; the value names its words. Source: OWASP ASVS 6.3.5, 6.3.7."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105  # the name of a message
    CONTACT_CHANGING = "contact_changing"
    CONTACT_CHANGED = "contact_changed"
    NEW_DEVICE = "new_device"
    SESSIONS_ENDED = "sessions_ended"
    SESSION_COPIED = "session_copied"


_BROWSERS = {"MicroMessenger": "WeChat", "Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome"}
_BROWSERS |= {"yaoshi": "yaoshi", "Safari": "Safari"}  # last: the others claim to be it
_SYSTEMS = {"Windows": "Windows", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "HarmonyOS": "HarmonyOS"}
_SYSTEMS |= {"Mac OS": "macOS", "Linux": "Linux"}
_UNKNOWN = Phrase("an unknown program", "未知程序")
_OPERATOR = Phrase("the operator", "系统管理员")
_TO_ONE = (Notice.NEW_DEVICE, Notice.SESSIONS_ENDED)
"""What happens often and is rarely bad goes to one contact, mail before SMS."""


class Notices:
    """Promises notices in the transaction of what they tell."""

    def __init__(self, messages: Messages, slips: Slips, public_url: str, default_language: str) -> None:
        self._messages, self._slips = messages, slips
        self._public_url, self._default_language = public_url, default_language

    def send(
        self, work: Work, notice: Notice, user_id: int, *, leaving: str = "", before: Account | None = None
    ) -> None:
        """Tell the owner, and the contact of the channel `leaving`, which is about to be replaced.

        With the account as it was `before`, every contact that had power then is told as well: nobody loses it in
        silence. The link holds for the account as it stands now; that of one that leaves holds against what comes next.
        """
        account = queries.by_id(work.db, user_id)
        if account is None:
            return
        channels = [channel for channel in ("email", "phone") if self._messages.carriers(channel, notice.value)]
        found = dict.fromkeys(queries.reach(account, channels)[: 1 if notice in _TO_ONE else None])
        # A contact that nobody vouches for may be a stranger's, who must not be handed the account's doings and a link.
        if leaving in channels and queries.is_vouched_for(account, leaving):
            found[leaving, queries.address(account, leaving)] = None
        found |= dict.fromkeys(
            (channel, queries.address(before, channel))
            for channel in channels
            if before and queries.has_power(before, channel)
        )
        usable = sorted(one for one in found if one[1])
        if "email" in channels and queries.has_power(account, "email") and all(to[0] == "phone" for to in usable):
            # Few SMS have room for the link. Who reads this address can take the account anyhow.
            usable.append(("email", account.profile.email))
        if not usable:
            alarm("owner_unreachable", notice=notice.value, user_id=user_id)
        language = account.language or self._default_language
        values = {"at": told_at(work.now, language), "address": work.caller.address or _OPERATOR.say(language)}
        values["device"] = program_of(work.caller.agent, language)
        values["link"] = f"{self._public_url}/console/disown#{self._slip(notice, account, leaving)}"
        until = work.now + USELESS_AFTER
        for channel, to in usable:
            self._messages.promise_notice(work, Parcel(notice.value, channel, to, language, values, until))

    def _slip(self, notice: Notice, account: Account, leaving: str) -> str:
        if notice is Notice.CONTACT_CHANGED:
            return self._slips.write_former(account, leaving, LINK_LIFE)
        return self._slips.write(DISOWN, account.profile.id, account.password_hash, LINK_LIFE)


def program_of(agent: str, language: str) -> str:
    """Return what people call a browser and its system; of a text that anybody may write nothing else is repeated."""
    names = [next((name for sign, name in known.items() if sign in agent), "") for known in (_BROWSERS, _SYSTEMS)]
    return " · ".join(filter(None, names)) or _UNKNOWN.say(language)


def told_at(at: datetime, language: str) -> str:
    """Return an instant as readers of `language` expect it: Beijing time in Chinese, UTC in English."""
    zone, shape = _TOLD_IN[language]
    return at.astimezone(zone).strftime(shape)
