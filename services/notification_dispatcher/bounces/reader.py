"""Reads a box for bounces beside the work: each mail is told to Kafka first and marked in the box afterwards.

A process that dies in between tells the same again, and what is told twice acts once (rule 1). Several instances may
read one box for the same reason.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from dunning.domain.events import Signal
from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.crash_points import crash_point
from dunning.runtime.logs import log_for
from dunning.runtime.mode import Mode
from dunning.runtime.pauses import Pauses
from dunning.runtime.problem import BOUNCES_UNREAD
from dunning.runtime.store import StoreUnavailable
from notification_dispatcher.bounces.box import Box, BoxTrouble, Found
from notification_dispatcher.bounces.folder import FolderBox
from notification_dispatcher.bounces.imap import ImapBox
from notification_dispatcher.bounces.report import Aside, read_bounce
from notification_dispatcher.bounces.telling import Teller, signal_of
from notification_dispatcher.metrics import NoticeMetrics
from notification_dispatcher.settings import DispatcherSettings

BOUNCED = "bounced"
_SECONDS_FIRST = 1.0
T = TypeVar("T")
_log = log_for("bounces")


class BounceReader:
    """One box. Only while the service acts: what observes or is stopped tells nothing (rule 42), and the mails wait."""

    def __init__(self, box: Box, settings: DispatcherSettings, metrics: NoticeMetrics) -> None:
        self.name = f"bounces {box.name}"
        self._box = box
        self._settings = settings
        self._metrics = metrics
        self._teller = Teller(settings)

    async def run(self, store: Any, health: Any) -> None:
        """Look again and again, for ever; a box that is broken is waited for."""
        pauses = Pauses(_SECONDS_FIRST, self._settings.bounce_pause_seconds_max)
        try:
            while True:
                try:
                    seconds = await self.look() if await store.mode() == Mode.ACT else None
                    pauses.reset()
                    health.calm(self.name)
                except StoreUnavailable:  # others tell of that
                    seconds = pauses.next_seconds()
                except (BoxTrouble, *KAFKA_TROUBLES) as error:
                    said = str(error) if isinstance(error, BoxTrouble) else f"Kafka does not take them ({error})"
                    health.alarm(self.name, BOUNCES_UNREAD, f"bounces are not read: {said}")
                    seconds = pauses.next_seconds()
                await asyncio.sleep(self._settings.bounce_poll_seconds if seconds is None else seconds)
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of Kafka."""
        await self._teller.close()

    async def look(self) -> float | None:
        """Deal with what is there now; returns the seconds until the next look, None: the usual ones."""
        try:
            found = await self._in_thread(self._box.look)
            for mail in found:
                await self._deal_with(mail)
        finally:
            self._box.leave()
        return 0 if found else None

    async def _deal_with(self, mail: Found) -> None:
        outcome = await self._told(mail)
        mark = self._box.done if outcome in (BOUNCED, Aside.DELAYED) else self._box.set_aside
        await self._in_thread(lambda: mark(mail))
        if outcome is not None:
            self._metrics.bounce_mails.labels(self._box.name, outcome).inc()

    async def _told(self, mail: Found) -> str | None:
        """What the mail was, once it is safe with Kafka; None where it is gone."""
        bytes_max = self._settings.bounce_mail_bytes_max
        if mail.size_bytes > bytes_max:
            return Aside.TOO_LARGE
        content = await self._in_thread(lambda: self._box.read(mail))
        if content is None or len(content) > bytes_max:
            return None if content is None else Aside.TOO_LARGE
        signal = self._understood(content)
        if isinstance(signal, Aside):
            return signal
        await self._teller.tell(signal)
        _log.info("a notice bounced", notice=signal.notice_id, account=signal.account_id, permanent=signal.permanent)
        crash_point("bounce.published")
        return BOUNCED

    def _understood(self, content: bytes) -> Signal | Aside:
        """What to tell. Anybody can write to the box: no mail of theirs may end the service, whatever we overlooked."""
        try:
            bounce = read_bounce(content, self._settings.own_domain)
            return bounce if isinstance(bounce, Aside) else signal_of(bounce) or Aside.INCOMPLETE
        except Exception as error:  # noqa: BLE001 - see above; it is told, counted and set aside
            _log.error("a mail could not be read", error=type(error).__name__)
            return Aside.GARBLED

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Boxes block. Told to stop, the connection is cut, so that the thread ends too."""
        try:
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            self._box.leave()
            raise


def bounce_readers(settings: DispatcherSettings, metrics: NoticeMetrics) -> tuple[BounceReader, ...]:
    """One for each box that the settings name. Raises Problem where one can never be read."""
    boxes: list[Box] = []
    if settings.bounce_dir is not None:
        boxes.append(FolderBox(settings.bounce_dir))
    if settings.imap_server is not None:
        boxes.append(
            ImapBox(settings.imap_server, settings.bounce_imap_timeout_seconds, settings.bounce_mail_bytes_max)
        )
    return tuple(BounceReader(box, settings, metrics) for box in boxes)
