"""The family of refusals. Each is a small class; `web/problems.py` translates them once."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as member
from enum import Enum
from typing import ClassVar

from yaoshi.core.phrases import Phrase


class Kind(Enum):
    """What sort of refusal it is, free of any protocol."""

    REJECTED = "rejected"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one member of a request; `code` is a key of `phrases.FAULTS`."""

    field: str
    code: str
    values: dict[str, object] = member(default_factory=dict)


class Problem(Exception):
    """A refusal that its caller can act on. `code` is for ever: renaming one breaks clients.

    `retry_after` is in whole seconds and only given with LIMITED and UNAVAILABLE; `challenge` is the scheme by which
    an UNAUTHENTICATED caller may prove itself; `members` join the answer.
    """

    kind: ClassVar[Kind]
    code: ClassVar[str]
    phrase: ClassVar[Phrase]
    challenge: ClassVar[str] = "Bearer"

    def __init__(self, faults: Sequence[Fault] = (), *, retry_after: int | None = None) -> None:
        super().__init__(self.code)
        self.faults = tuple(faults)
        self.retry_after = retry_after
        self.members: dict[str, str] = {}


class InvalidRequest(Problem):
    """The body can be read, but members of it are missing or not acceptable; `faults` names every one."""

    kind, code = Kind.REJECTED, "invalid_request"
    phrase = Phrase("The request is not valid.", "请求内容有误。")


class Overloaded(Problem):
    """More work waits than can be done in time; nothing was changed and the call may be repeated."""

    kind, code = Kind.UNAVAILABLE, "overloaded"
    phrase = Phrase("The server is busy. Please try again in a moment.", "服务器繁忙，请稍后重试。")


class StorageUnavailable(Problem):
    """The database could not be reached or written in time; nothing was changed."""

    kind, code = Kind.UNAVAILABLE, "storage_unavailable"
    phrase = Phrase("The service cannot store data right now. Please try again soon.", "暂时无法保存数据，请稍后重试。")


class NotReady(Problem):
    """The server can't serve as it is set up; its log says what to mend."""

    kind, code = Kind.UNAVAILABLE, "not_ready"
    phrase = Phrase("The server is not set up yet. Its log says what is missing.", "服务器尚未就绪，请查看服务日志。")


class NotOffered(Problem):
    """The operator has not opened this door."""

    kind, code = Kind.NOT_FOUND, "not_offered"
    phrase = Phrase("This is not offered here.", "本服务未开放此功能。")


class SettingsRefused(Exception):
    """The process must not start like this; the text says which setting and how to mend it."""
