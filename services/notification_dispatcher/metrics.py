"""Metrics of the notification dispatcher's own: outcomes of notices."""

from collections.abc import Sequence

from dunning.contracts.topics import NOTIFICATION_DISPATCHER
from dunning.domain.decision import MoneyMoved
from dunning.domain.events import NoticeResult, Output
from dunning.domain.words import Channel, Outcome, Reason
from dunning.runtime.metrics import Metrics


class NoticeMetrics(Metrics):
    """The kernel's, and what became of notices."""

    def __init__(self) -> None:
        super().__init__(NOTIFICATION_DISPATCHER)
        self.notices = self._counter("notices_total", "Outcomes of notices.", "channel", "outcome")
        self.suppressed = self._counter("notices_suppressed_total", "Notices that were not sent, by reason.", "reason")
        self.bounce_mails = self._counter(
            "bounce_mails_total", "Mails in the boxes for bounces, by what they were.", "box", "outcome"
        )
        for outcome in Outcome:  # Prometheus sees no increase in a series that appears with its first event
            self.notices.labels(Channel.EMAIL, outcome)

    def observe(self, outputs: Sequence[Output], money: Sequence[MoneyMoved]) -> None:  # noqa: ARG002
        """Count results. A reason of ours is one of few words; one that a signal brought is counted as `other`."""
        for output in outputs:
            if isinstance(output, NoticeResult):
                self.notices.labels(output.channel, output.outcome).inc()
                if output.outcome == Outcome.SUPPRESSED:
                    self.suppressed.labels(known_reason(output.reason)).inc()


_KNOWN = frozenset(
    {
        Reason.NO_ADDRESS,
        Reason.NO_CONSENT,
        Reason.ERASED,
        Reason.ADDRESS_BOUNCED,
        Reason.ADDRESS_TRIED,
        Reason.CHANNEL_NOT_CONFIGURED,
        Reason.CHANNEL_SHUT,
        Reason.PAID,
        Reason.VOIDED,
        Reason.TERMINATED,
        Reason.REINSTATED,
    }
)


def known_reason(reason: str | None) -> str:
    """A reason that may be a label: free text from outside must never make new time series."""
    return reason if reason in _KNOWN else "other"
