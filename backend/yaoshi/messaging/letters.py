"""From what was promised to what is read: templates by message and language, plain text, HTML and SMS."""

from dataclasses import dataclass
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

CODES = ("reset_code", "contact_code", "sign_in_code")
NOTICES = (
    "password_changed",
    "contact_changing",
    "contact_changed",
    "new_device",
    "sessions_ended",
    "session_copied",
)
KINDS = (*CODES, *NOTICES, "test")
_CODE = {"code": "123456", "minutes": "10"}
_NOTICE = {
    "at": "2026-01-31 20:15",
    "address": "203.0.113.7",
    "device": "Chrome · Windows",
    "link": "https://id.example.com/console/disown#v1.1.1800000000.0123456789abcdef",
}
_APART = "\n---\n"
_LAYOUT = "layout.html"


def sample(kind: str) -> dict[str, str]:
    """Return an example of every value that a message of `kind` has."""
    return _NOTICE if kind in NOTICES else _CODE


class Unwritable(Exception):
    """A template is missing, broken, or asks for a value that there is not."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, ready to be sent.

    `key` is the same at every attempt. `text`, `html` and `subject` are for mail, `sms` for providers that take our
    own words; those that take approved templates use `kind`, `language` and `values`.
    """

    key: str
    kind: str
    language: str
    to: str
    subject: str
    text: str
    html: str
    sms: str
    values: dict[str, str]


class Letters:
    """Writes letters from templates; a file of the same name in the operator's folder comes first.

    A template is `<kind>/<language>.txt`: subject, SMS and body, parted by lines of three dashes. Values are text and
    never templates; in HTML they are escaped. In SMS the name is cut to 20 units of UTF-16, so that every text of ours
    is one segment; a notice whose own words leave out the link has it at the end where that segment has room.
    """

    def __init__(self, name: str, overrides: Path | None) -> None:
        folders = [FileSystemLoader(overrides)] if overrides else []
        # Two environments, since what is escaped is decided by the use and not by the file's name.
        loader = ChoiceLoader([*folders, PackageLoader("yaoshi.messaging", "templates")])
        self._plain = Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701  # no HTML
        self._html = Environment(loader=loader, undefined=StrictUndefined, autoescape=True)
        self._name = name

    def write(self, key: str, kind: str, language: str, to: str, values: dict[str, str]) -> Letter:
        """Return the letter of `kind` in `language`. Raises Unwritable."""
        known = {"name": self._name, **values}
        try:
            words = self._plain.get_template(f"{kind}/{language}.txt")
            subject, _, text = (part.strip() for part in words.render(known).split(_APART))
            sms = words.render(known | {"name": _short(self._name)}).split(_APART)[1].strip()
            linked = f"{sms} {values['link']}" if "link" in values else sms
            paragraphs = [part.strip() for part in text.split("\n\n")]
            layout = self._html.get_template(_LAYOUT)
            html = layout.render(known | {"subject": subject, "paragraphs": paragraphs, "language": language})
        except Exception as error:  # whatever an operator's template does
            raise Unwritable(f"template {kind}/{language}: {type(error).__name__}") from error
        sms = linked if is_one_segment(linked) else sms
        return Letter(key, kind, language, to, subject, text + "\n", html, sms, values)


def is_one_segment(sms: str) -> bool:
    """Return whether an SMS costs one: 160 characters, or 70 where one is not ASCII. Source: 3GPP TS 23.038.

    Signs that count twice in GSM-7, or are missing there, are no part of our words and links.
    """
    return len(sms) <= 160 if sms.isascii() else _nunits(sms) <= 70


def _short(name: str) -> str:
    return name.encode("utf-16-le")[:40].decode("utf-16-le", "ignore")


def _nunits(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
