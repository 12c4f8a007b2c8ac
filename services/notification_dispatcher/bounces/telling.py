"""Tells bounces to everybody: `notice.bounced` in `dunning.signals`, acknowledged by Kafka before the mail is done."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from msgspec.structs import replace
from pydantic import ValidationError

from dunning.contracts.encode import Message, source_of
from dunning.contracts.encode_inputs import signal_data, signal_message
from dunning.contracts.signals import NoticeBounced
from dunning.contracts.topics import NOTIFICATION_DISPATCHER
from dunning.domain import ids
from dunning.domain.calendar import rfc3339
from dunning.domain.events import Signal
from dunning.domain.words import Channel
from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.settings import Settings
from notification_dispatcher.bounces.report import Bounce

_STOP_SECONDS_MAX = 2.0
_SOURCE = source_of(NOTIFICATION_DISPATCHER)


def signal_of(bounce: Bounce) -> Signal | None:
    """The signal, made of the mail alone, so that the same mail makes the same signal. None where it could not be read:
    a mail from anybody must not become a dead letter of ours."""
    signal = Signal(
        event_id="",
        account_id=bounce.account_id,
        kind="notice.bounced",
        at=bounce.at,
        invoice_id=bounce.invoice_id,
        channel=Channel.EMAIL,
        notice_id=bounce.notice_id,
        rung=bounce.rung,
        permanent=bounce.permanent,
    )
    try:
        NoticeBounced.model_validate(signal_data(signal))
    except ValidationError:
        return None
    told = (bounce.account_id, bounce.invoice_id, bounce.rung, rfc3339(bounce.at), bounce.permanent)
    return replace(signal, event_id=ids.event_id("notice.bounced", bounce.notice_id, *told))


class Teller:
    """An idempotent producer, made when it is needed; one that failed once is never used again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def tell(self, signal: Signal) -> None:
        """Returns when all replicas have it. Raises what Kafka's client raises."""
        message: Message = signal_message(signal, source=_SOURCE, prefix=self._settings.topic_prefix)
        try:
            if self._producer is None:
                self._producer = AIOKafkaProducer(
                    **self._settings.kafka_connection(), enable_idempotence=True, acks="all"
                )
                await self._producer.start()
            await self._producer.send_and_wait(
                message.topic, message.value, key=message.key, headers=list(message.headers)
            )
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of the connection. A producer whose broker is away would wait for it."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(*KAFKA_TROUBLES):
            await asyncio.wait_for(producer.stop(), _STOP_SECONDS_MAX)
        with suppress(*KAFKA_TROUBLES):
            await asyncio.wait_for(producer.client.close(), _STOP_SECONDS_MAX)
