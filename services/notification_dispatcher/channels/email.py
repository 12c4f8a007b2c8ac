"""The email channel: a notice order becomes a mail in the hands of an SMTP server, at most once.

A mail is written and a connection is ready before `begin` is asked, so that what is withdrawn in the last moment still
costs nobody anything. After it, the answers of the server decide:

- accepted: `accepted`, with the server's own words, which as a rule hold its queue id;
- refused for good (5xx): `bounced`, `permanent` where the address is at fault;
- refused for now (4xx), or broken before the mail was complete: `Postpone`, since surely nothing reached anybody;
- broken or silent after the final dot: `unknown`, and never sent again.

An order that has waited into quiet hours is not carried out: `too_late`, and the dispatcher decides anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from dunning.domain import ids
from dunning.domain.decision import Errand, Postpone
from dunning.domain.events import ErrandReport
from dunning.runtime.service import Begin
from notification_dispatcher.channels.addresses import Address, AddressError
from notification_dispatcher.channels.mail import Sender, compose
from notification_dispatcher.channels.payload import NoticeOrder, PayloadError
from notification_dispatcher.channels.settings import EmailSettings
from notification_dispatcher.channels.smtp_answers import Answer, GoOn, NotNow, Refused, Step, Unclear, judge
from notification_dispatcher.channels.smtp_connection import AnswerLost, SmtpConnection, Unavailable
from notification_dispatcher.channels.smtp_pool import SmtpPool
from notification_dispatcher.templates import Letterhead, RenderingError, Wording, render

_PROVIDER = "smtp"


@dataclass(frozen=True, slots=True)
class _Mail:
    recipient: Address
    content: bytes
    closes_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What an ErrandReport says beyond whose errand it was and when."""

    word: str
    reason: str | None = None
    permanent: bool = False
    provider_message_id: str | None = None


_TOO_LATE = _Outcome("too_late")


class EmailChannel:
    """Sends notices by SMTP. Safe to use from as many workers at a time as one likes; the pool is the bound."""

    def __init__(self, settings: EmailSettings, now: Callable[[], datetime], wording: Wording | None = None) -> None:
        """`now` dates the reports, `wording` are the templates: the shipped ones, if not given.

        Raises ValueError when the settings name no server.
        """
        server = settings.server
        if server is None:
            raise ValueError("DUNNING_SMTP_URL is not set: the email channel is not configured")
        self.perform_seconds_max = settings.perform_seconds_max
        self._answer_timeout_seconds = settings.smtp_answer_timeout_seconds
        self._letterhead = Letterhead(settings.mail_sender_name, settings.mail_footer, settings.mail_opt_out_url)
        self._wording = wording
        self._sender = Sender(
            address=Address.parse(settings.mail_sender_address),
            name=settings.mail_sender_name,
            message_id_domain=settings.own_domain,
            reply_to=Address.parse(settings.mail_reply_to) if settings.mail_reply_to else None,
        )
        self._pool = SmtpPool(server, settings)
        self._now = now

    async def perform(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        """Send the errand's mail. Never asks `begin` before the world could be touched at once."""
        written = self._write(errand)
        if isinstance(written, _Mail) and self._is_too_late(written):
            written = _TOO_LATE
        if isinstance(written, _Outcome):
            return self._report(errand, written if await begin() else _Outcome("withdrawn"))
        try:
            async with self._pool.connection() as connection:
                if not await begin():
                    return self._report(errand, _Outcome("withdrawn"))
                outcome = _TOO_LATE if self._is_too_late(written) else await self._send(connection, written)
        except Unavailable as trouble:
            return Postpone(trouble.reason, trouble.seconds_min, refused=False)
        return outcome if isinstance(outcome, Postpone) else self._report(errand, outcome)

    async def close(self) -> None:
        """Leave the server politely; mails under way are finished by whoever sends them."""
        await self._pool.close()

    def _is_too_late(self, mail: _Mail) -> bool:
        return mail.closes_at is not None and self._now() >= mail.closes_at

    def _write(self, errand: Errand) -> _Mail | _Outcome:
        """The mail, or why there can be none."""
        try:
            order = NoticeOrder.from_payload(errand.payload)
            recipient = Address.parse(order.address)
            rendered = render(order, self._letterhead, self._wording)
        except AddressError:
            return _Outcome("bounced", reason="address_invalid", permanent=True)
        except (PayloadError, RenderingError) as error:
            return _Outcome("failed", reason=str(error))
        return _Mail(recipient, compose(errand.errand_id, order, recipient, rendered, self._sender), order.closes_at)

    async def _send(self, connection: SmtpConnection, mail: _Mail) -> _Outcome | Postpone:
        """The conversation about one mail. Raises Unavailable while nothing can have been accepted."""
        utf8 = mail.recipient.needs_smtputf8
        if utf8 and not connection.offers("smtputf8"):
            return _Outcome("bounced", reason="smtputf8_not_offered")
        options = (b"SMTPUTF8", b"BODY=8BITMIME") if utf8 else ()
        commands = {
            Step.MAIL: (b"MAIL", b"FROM:<" + str(self._sender.address).encode() + b">", *options),
            Step.RCPT: (b"RCPT", b"TO:<" + str(mail.recipient).encode() + b">"),
            Step.DATA: (b"DATA",),
        }
        for step, words in commands.items():
            stopped = _outcome(step, await connection.command(*words))
            if stopped is not None:
                return stopped
        try:
            answer = await connection.hand_over(mail.content, self._answer_timeout_seconds)
        except AnswerLost as lost:
            return _Outcome("unknown", reason=lost.reason)
        return _outcome(Step.END, answer) or _Outcome(
            "accepted", provider_message_id=answer.without(str(mail.recipient))
        )

    def _report(self, errand: Errand, outcome: _Outcome) -> ErrandReport:
        return ErrandReport(
            event_id=ids.event_id("errand", errand.errand_id, outcome.word),
            account_id=errand.account_id,
            invoice_id=errand.invoice_id,
            errand_id=errand.errand_id,
            outcome=outcome.word,
            at=self._now(),
            reason=outcome.reason,
            permanent=outcome.permanent,
            provider=_PROVIDER,
            provider_message_id=outcome.provider_message_id,
        )


def _outcome(step: Step, answer: Answer) -> _Outcome | Postpone | None:
    """What an answer ends the conversation with; None: it goes on."""
    verdict = judge(step, answer)
    match verdict:
        case GoOn():
            return None
        case NotNow(reason, seconds_min, about_the_mail):
            return Postpone(reason, seconds_min, refused=about_the_mail)
        case Refused(reason, permanent):
            return _Outcome("bounced", reason, permanent)
        case Unclear(reason):
            return _Outcome("unknown", reason)
        case _:
            assert_never(verdict)
