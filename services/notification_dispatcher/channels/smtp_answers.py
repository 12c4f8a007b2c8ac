"""What an SMTP server's answers mean for a mail. Pure."""

import re
from dataclasses import dataclass
from enum import Enum

from notification_dispatcher.channels.one_line import one_line

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")
_LOGIN_WANTED = frozenset({530, 534, 535, 538})
_RECIPIENT_CODES = frozenset({550, 551, 553})
_SENDER_STATUSES = frozenset({"5.1.7", "5.1.8"})
_ABOUT_THE_SYSTEM = "4.3."  # RFC 3463: full, shutting down, out of order
_GREYLISTING_SECONDS = 60
_CLOSING_SECONDS = 15
_ANSWER_LENGTH_MAX = 200


class Step(Enum):
    """The exchanges of one mail, in order."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "END"  # the whole mail was handed over


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply code and its text."""

    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code of RFC 3463, where the server gives one."""
        found = _ENHANCED.match(self.text)
        return found[0] if found else None

    @property
    def status(self) -> str:
        """`550 5.1.1`: what may be told and logged. The rest of the text often quotes the address."""
        return f"{self.code} {self.enhanced}" if self.enhanced else str(self.code)

    def without(self, address: str) -> str:
        """The whole answer on one line with the address taken out: as a rule it holds the server's queue id."""
        return one_line(re.sub(re.escape(address), "…", self.text, flags=re.IGNORECASE), _ANSWER_LENGTH_MAX)


@dataclass(frozen=True, slots=True)
class GoOn:
    """The step succeeded."""


@dataclass(frozen=True, slots=True)
class NotNow:
    """The server said no for the moment: surely nothing was delivered. Where that is not about the mail but about the
    server or our access to it, waiting for the server is no reason to give the mail up."""

    reason: str
    seconds_min: float
    about_the_mail: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """The server said no for good; `permanent` when it is the address that will not do."""

    reason: str
    permanent: bool


@dataclass(frozen=True, slots=True)
class Unclear:
    """An answer that no server should give, at a point where the mail may be accepted already."""

    reason: str


Verdict = GoOn | NotNow | Refused | Unclear


def judge(step: Step, answer: Answer) -> Verdict:
    """Read an answer by RFC 5321: the first digit decides."""
    match answer.code // 100:
        case 2 if step is not Step.DATA:
            return GoOn()
        case 3 if step is Step.DATA:
            return GoOn()
        case 4:
            closing, system = answer.code == 421, (answer.enhanced or "").startswith(_ABOUT_THE_SYSTEM)
            seconds = _CLOSING_SECONDS if closing else _GREYLISTING_SECONDS
            return NotNow(answer.status, seconds, about_the_mail=not (closing or system))
        case 5 if answer.code in _LOGIN_WANTED:
            # About our connection and not about this mail: every mail of the day would "bounce" until it is mended.
            return NotNow(answer.status, _GREYLISTING_SECONDS, about_the_mail=False)
        case 5:
            return Refused(answer.status, permanent=step is Step.RCPT and is_about_the_recipient(answer))
        case _ if step is Step.END:
            return Unclear(answer.status)
        case _:
            return NotNow(answer.status, _GREYLISTING_SECONDS)


def is_about_the_recipient(answer: Answer) -> bool:
    """Whether the address is at fault and stays so.

    The enhanced status decides where there is one: many servers answer `550 5.7.1` when it is us whom they do not want,
    and taking that for a dead address would silence every customer.
    """
    status = answer.enhanced
    if status is None:
        return answer.code in _RECIPIENT_CODES
    return (status.startswith("5.1.") and status not in _SENDER_STATUSES) or status == "5.2.1"
