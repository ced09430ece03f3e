"""Identifiers: one canonical form each. Pure; no DNS, no database.

A username, an e-mail address and a phone number live in namespaces that can't meet: names hold no @ and are no phone
number. What people typed is stored; what is compared is the canonical form beside it.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache
from typing import NamedTuple

import email_validator
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from yaoshi.accounts import lookalikes
from yaoshi.core.errors import Fault

REGION = "CN"
LEAST_NAME, MOST_NAME, MOST_EMAIL = 2, 80, 254
MOST_LOCAL_PART = 64
_MOST_MARKS = 4
_MOST_KEY = 255
_NAME_SIGNS = frozenset(" ._-+#&'()·（）’")
_AT_SIGNS = frozenset("@＠﹫")
_PHONE_SIGNS = str.maketrans({char: "-" for char in "‐‑‒–—―−－"})
_PHONE = re.compile(r"\+?[0-9 ().\-/]+")
# Other characters become digits and signs in NFKC as well, and must not.
_TYPED_PHONE = re.compile(r"[+0-9 ().\-/＋０-９（）．／\u3000\xa0\u2000-\u200a\u202f\u205f]+")
# Letters and marks by category that nobody sees. Source: DerivedCoreProperties.txt, Default_Ignorable_Code_Point.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_NOT_HAN = re.compile("[^\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]+")
_KANA_LIKE_HAN = str.maketrans("ニハロエカタトイノーꟷ", "二八口工力夕卜亻丿一一")

# Installations inside a company use such names, and nothing here is ever looked up.
for _domain in {"local", "test"} & set(email_validator.SPECIAL_USE_DOMAIN_NAMES):
    email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(_domain)


class Role(StrEnum):
    """What a person is for the platform. `unauth` is who has not been verified as anything."""

    PHARMACY = "pharmacy"
    SUPPLIER = "supplier"
    LOGISTICS = "logistics"
    REGULATOR = "regulator"
    UNAUTH = "unauth"


class Unproven(StrEnum):
    """What contacts that nobody ever proved are good for: resets and notices, or nothing but to be proven.

    Whoever registers with the address of somebody else plants their own second contact beside it; once the true owner
    resets through the one, the other is powerless. Adopted accounts never had a way to prove theirs, and keep them.
    """

    TRUSTED = "trusted"
    POWERLESS = "powerless"
    ADOPTED = "adopted"


class HandleKind(Enum):
    """Which namespace a typed account name belongs to."""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Handle:
    """A typed account name: as typed, and in the canonical form of its kind."""

    kind: HandleKind
    exact: str
    key: str


class Phone(NamedTuple):
    """A phone number as front-ends know it (national digits for the default region), and as E.164."""

    spelled: str
    e164: str


def read_handle(typed: str) -> Handle:
    """Return what a typed account name means. Never raises; text that is nothing is a name that nobody has.

    The key of an unusable e-mail address begins with @, as no usable one does: lower-casing alone would turn a
    Kelvin sign into the k of somebody else's address.
    """
    stripped = typed.strip()
    if "@" in stripped:
        return Handle(HandleKind.EMAIL, typed, fold_email(stripped) or f"@{stripped.lower()}"[:_MOST_KEY])
    number = phone_key(stripped)
    if number:
        return Handle(HandleKind.PHONE, typed, number)
    return Handle(HandleKind.NAME, typed, fold_username(typed))


def read_username(typed: str) -> tuple[str, list[Fault]]:
    """Return a new username in NFC without outer blanks, and all that is wrong with it."""
    name = unicodedata.normalize("NFC", typed.strip())
    if not name:
        return name, [Fault("username", "missing")]
    faults = []
    if len(name) < LEAST_NAME:
        faults.append(Fault("username", "too_short", {"least": LEAST_NAME}))
    if len(name) > MOST_NAME:
        faults.append(Fault("username", "too_long", {"most": MOST_NAME}))
    if _AT_SIGNS & set(name):
        faults.append(Fault("username", "has_at_sign"))
    elif not all(map(_may_stand_in_name, name)) or _stacks_marks(name) or "  " in name:
        faults.append(Fault("username", "bad_characters"))
    if phone_key(name) or phone_key(fold_username(name)):
        faults.append(Fault("username", "is_a_phone"))
    if lookalikes.mixes_alphabets(unicodedata.normalize("NFKC", name)):
        faults.append(Fault("username", "mixed_scripts"))
    return name, faults


def fold_username(value: str) -> str:
    """Return the canonical form of a username: compatibility forms, case and inner blanks folded."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold())
    return " ".join(folded.split())[:_MOST_KEY]


def skeleton(value: str) -> str:
    """Return what a username looks like; no two accounts share it. Source: UTS #39 §4.

    Unlike there, Chinese characters stay themselves: 土 and 士 are two names. Capitals are compared as they stand
    before their case is folded: a Cyrillic Т looks like a T, its small letter like no Latin one.
    """
    seen = _outline(unicodedata.normalize("NFKC", value).strip())
    return _outline(fold_username(seen))[:_MOST_KEY]


def _outline(text: str) -> str:
    seen = "".join(char for char in text if not _is_unseen(char)).translate(_KANA_LIKE_HAN)
    return _NOT_HAN.sub(lambda run: lookalikes.skeleton(run[0]), seen)


def read_email(typed: str) -> tuple[str, list[Fault]]:
    """Return a new e-mail address as it is stored and written to, and what is wrong with it."""
    address = typed.strip()
    if not address:
        return address, [Fault("email", "missing")]
    if len(address) > MOST_EMAIL:
        return address, [Fault("email", "too_long", {"most": MOST_EMAIL})]
    return address, [] if fold_email(address) else [Fault("email", "not_an_email")]


@lru_cache(maxsize=4096)
def fold_email(value: str) -> str | None:
    """Return the canonical form of an e-mail address, None for text that is none.

    The local part must be ASCII, and only its ASCII case is folded: letters that merely resemble each other never
    meet. The domain is compared in its ASCII form. Plus tags and dots stay distinct: they are the provider's matter.
    Source: RFC 5321 §4.1.2, RFC 5890.
    """
    address = value.strip()
    local = address.partition("@")[0]
    if len(address) > MOST_EMAIL or len(local) > MOST_LOCAL_PART or not local.isascii():
        return None
    try:
        valid = validate_email(address, check_deliverability=False, allow_smtputf8=False)
    except (EmailNotValidError, UnicodeError):
        return None
    domain = (valid.ascii_domain or "").lower()
    return f"{valid.local_part.lower()}@{domain}" if "." in domain else None


def read_phone(typed: str) -> tuple[Phone | None, list[Fault]]:
    """Return a phone number of the default region or of the country that `+` names, and what is wrong with it."""
    key = phone_key(typed)
    if key is None:
        return None, [Fault("phone", "not_a_phone")]
    number = phonenumbers.parse(key)
    region_code = phonenumbers.country_code_for_region(REGION)
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    return Phone(re.sub("[^0-9]", "", national) if number.country_code == region_code else key, key), []


@lru_cache(maxsize=4096)
def phone_key(value: str) -> str | None:
    """Return a phone number as E.164, None for text that is no valid number. Source: ITU-T E.164.

    Only digits, plain or full-width, and the usual signs between them are read: a number inside other text is not
    that number, and a superscript two is no digit.
    """
    typed = value.strip().translate(_PHONE_SIGNS)
    if len(value) > 40 or not _TYPED_PHONE.fullmatch(typed):
        return None
    plain = unicodedata.normalize("NFKC", typed)
    if not _PHONE.fullmatch(plain):
        return None
    try:
        number = phonenumbers.parse(plain, REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _may_stand_in_name(char: str) -> bool:
    category = unicodedata.category(char)
    return (category[0] in "LM" or category in ("Nd", "Nl") or char in _NAME_SIGNS) and not _is_unseen(char)


def _is_unseen(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or _UNSEEN.match(char) is not None


def _stacks_marks(name: str) -> bool:
    marks = 0
    for char in unicodedata.normalize("NFD", name):
        marks = marks + 1 if unicodedata.category(char)[0] == "M" else 0
        if marks > _MOST_MARKS:
            return True
    return False
