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
    never templates; in HTML they are escaped.
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
            words = self._plain.get_template(f"{kind}/{language}.txt").render(known)
            subject, sms, text = (part.strip() for part in words.split(_APART))
            paragraphs = [part.strip() for part in text.split("\n\n")]
            layout = self._html.get_template(_LAYOUT)
            html = layout.render(known | {"subject": subject, "paragraphs": paragraphs, "language": language})
        except Exception as error:  # whatever an operator's template does
            raise Unwritable(f"template {kind}/{language}: {type(error).__name__}") from error
        return Letter(key, kind, language, to, subject, text + "\n", html, sms, values)
