"""Templates that a vendor has approved: which of them carries which message, and what its parameters are called."""

import re
from dataclasses import dataclass

from yaoshi.core.phrases import LANGUAGES
from yaoshi.messaging.letters import KINDS, Letter, sample
from yaoshi.messaging.providers.courier import Refused

_ENTRY = re.compile(r"([a-z_]+)\.(zh-CN|en)=([A-Za-z0-9_-]+)\(([a-zA-Z0-9_=, ]*)\)")


@dataclass(frozen=True, slots=True)
class Template:
    """One approved template: the vendor's id, and (the vendor's name, our name) of each parameter in its order."""

    id: str
    parameters: tuple[tuple[str, str], ...]

    def values(self, letter: Letter) -> list[tuple[str, str]]:
        """Return (the vendor's name, value) of every parameter. Raises Refused when the message has no such value."""
        try:
            return [(theirs, letter.values[ours]) for theirs, ours in self.parameters]
        except KeyError as missing:
            raise Refused(f"template {self.id}: this message has no {missing.args[0]}") from None


class Templates(dict[tuple[str, str], Template]):
    """Templates by (message, language)."""

    @classmethod
    def read(cls, text: str) -> "Templates":
        """Return the templates of `reset_code.zh-CN=SMS_1001(code,min=minutes) …`. Raises ValueError."""
        read = cls()
        for part in filter(None, re.split(r"[;\n]|(?<=\))\s+", text.strip())):
            entry = _ENTRY.fullmatch(part.strip())
            if entry is None:
                raise ValueError("must be like reset_code.zh-CN=SMS_1001(code,minutes), separated by blanks")
            names = [one.strip().partition("=") for one in entry[4].split(",") if one.strip()]
            parameters = tuple((first, second or first) for first, _, second in names)
            _judge(entry[1], [ours for _, ours in parameters])
            read[entry[1], entry[2]] = Template(entry[3], parameters)
        return read

    def has(self, kind: str) -> bool:
        """Return whether there is a template of this message in any language."""
        return any(name == kind for name, _ in self)

    def lacking(self, kind: str) -> list[str]:
        """Return the languages in which there is no template of this message."""
        return [language for language in LANGUAGES if (kind, language) not in self]

    def of(self, letter: Letter) -> Template:
        """Return the template of a message, in its language or in the other one. Raises Refused where there is none."""
        for language in (letter.language, "zh-CN", "en"):
            if (letter.kind, language) in self:
                return self[letter.kind, language]
        raise Refused(f"no template for {letter.kind}")


def _judge(kind: str, names: list[str]) -> None:
    if kind not in KINDS:
        raise ValueError(f"{kind} is no message: there are {', '.join(KINDS)}")
    for name in names:
        if name not in sample(kind):
            raise ValueError(f"{kind} has no {name}: it has {', '.join(sample(kind))}")
