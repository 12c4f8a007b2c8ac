"""How a notice ends: its outcome is published once, and what an errand still carries is called off first."""

from collections.abc import Callable
from datetime import datetime

from dunning.domain import ids
from dunning.domain.events import NoticeResult
from dunning.domain.policy import Policies
from dunning.domain.track import BEFORE_EVERYTHING, Track
from dunning.domain.turn import Turn
from dunning.domain.words import NOTICE_NONE, Channel
from notification_dispatcher.case import Notice, NoticeAccount, NoticeCase, NoticeState
from notification_dispatcher.templates.wording import shipped

RESULT_TYPE = "dunning.notice.result.v1"
WITH_RECEIPTS = frozenset({Channel.SMS, Channel.PUSH, Channel.CALL})  # others deliver when they are accepted (rule 30)
NoticeTurn = Turn[NoticeAccount]


class Outcomes(Track[NoticeAccount, NoticeCase]):
    """What every part of the notice track needs: ending a notice with its outcome."""

    def __init__(
        self,
        policies: Callable[[], Policies],
        configured: frozenset[Channel],
        with_receipts: frozenset[Channel] = WITH_RECEIPTS,
        *,
        start: Callable[[], datetime] = lambda: BEFORE_EVERYTHING,
        language_of: Callable[[str, str | None], str] | None = None,
    ) -> None:
        """`configured` channels can send here; on those `with_receipts` a receipt says what was delivered.

        `language_of` tells in which language a template is written for a locale: own templates may bring more.
        """
        super().__init__(policies, start)
        self.language_of = language_of or shipped().language_of
        self.configured = configured
        self.with_receipts = with_receipts

    def new_case(self, invoice_id: str) -> NoticeCase:
        """An empty case."""
        return NoticeCase(invoice_id, stage=NOTICE_NONE)

    @staticmethod
    def _touch(turn: NoticeTurn, case: NoticeCase) -> None:
        """A former case lives in the present one."""
        present = turn.account.cases.get(case.invoice_id)
        if present is not None and present.before and any(each is case for each in present.before):
            turn.touch(present)
        else:
            turn.touch(case)

    def _call_off(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, state: NoticeState, reason: str) -> None:
        """Nothing is said any more: at once where it waits; where an errand is out, when that comes back undone."""
        if notice.state is NoticeState.WAITING:
            self._end(turn, case, notice, state, reason)
        elif notice.state is NoticeState.ORDERED and notice.withdrawn_as in (None, NoticeState.WAITING):
            notice.withdrawn_as, notice.withdrawn_reason = state, reason
            turn.decision.withdrawn.append(notice.id)
            self._touch(turn, case)

    def _end(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, state: NoticeState, reason: str | None) -> None:
        self._result(turn, case, notice, state, reason, turn.now)

    def _result(
        self,
        turn: NoticeTurn,
        case: NoticeCase,
        notice: Notice,
        state: NoticeState,
        reason: str | None,
        at: datetime,
        provider: str | None = None,
        provider_message_id: str | None = None,
    ) -> None:
        """Publish an outcome, once per notice and outcome, and remember it."""
        notice.state, notice.due = state, None
        self._touch(turn, case)
        if state in notice.outcomes:
            return
        notice.outcomes.append(str(state))
        case.results += 1
        rung = self.policy_of(case).rung(notice.rung)
        template = rung.notice.template if rung is not None and rung.notice is not None else notice.rung
        turn.decision.events.append(
            NoticeResult(
                event_id=ids.event_id(RESULT_TYPE, notice.id, state),
                sequence=case.results,
                causation_id=turn.cause_id,
                notice_id=notice.id,
                case_ids=(case.case_id,),
                account_id=turn.account.account_id,
                invoice_id=case.invoice_id,
                rung=notice.rung,
                channel=str(notice.channel),
                template=template,
                locale=self.language_of(template, turn.account.facts.get("locale")),
                outcome=str(state),
                reason=str(reason) if reason is not None else None,
                provider=provider,
                provider_message_id=provider_message_id,
                at=at,
                traceparent=turn.traceparent,
            )
        )
