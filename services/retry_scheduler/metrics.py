"""Metrics of the retry scheduler's own: charges asked for, and how retrying ended."""

from collections.abc import Sequence

from dunning.contracts.topics import RETRY_SCHEDULER
from dunning.domain.decision import MoneyMoved
from dunning.domain.events import Output, RetryRequested, StageChanged
from dunning.domain.words import RetryStage
from dunning.runtime.metrics import Metrics


class RetryMetrics(Metrics):
    """The kernel's, and what becomes of charges by the decline class that led to them."""

    def __init__(self) -> None:
        super().__init__(RETRY_SCHEDULER)
        self.requested = self._counter("retries_requested_total", "Charges asked for.", "decline_class")
        self.answered = self._counter(
            "retries_answered_total",
            "How charges that were asked for ended: recovered, failed (also by time-out), cancelled or paused.",
            "outcome",
            "decline_class",
        )
        self.not_retried = self._counter(
            "retries_suppressed_total",
            "Cases that wait or are finished without money, by reason.",
            "reason",
            "decline_class",
        )

    def observe(self, outputs: Sequence[Output], money: Sequence[MoneyMoved]) -> None:  # noqa: ARG002
        """Count requests and the transitions that answer them."""
        for output in outputs:
            match output:
                case RetryRequested():
                    self.requested.labels(output.decline_class).inc()
                case StageChanged():
                    self._transition(output)
                case _:
                    pass

    def _transition(self, moved: StageChanged) -> None:
        if moved.from_stage == RetryStage.REQUESTED:
            ended = moved.to_stage in (RetryStage.RECOVERED, RetryStage.CANCELLED, RetryStage.PAUSED)
            self.answered.labels(moved.to_stage if ended else "failed", moved.details["charged_for"]).inc()
        if moved.to_stage in (RetryStage.WAITING_FOR_CUSTOMER, RetryStage.EXHAUSTED):
            self.not_retried.labels(moved.reason, moved.details["decline_class"]).inc()
