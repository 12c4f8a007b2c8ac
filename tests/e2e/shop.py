"""A shop with hundreds of customers: payments fail, charges are made when they are asked for, and some people pay.

It keeps books and a ledger, charges nothing twice and nothing that is not owed, and says everything until it was
acknowledged, however often Kafka is killed in between.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiokafka.errors import KafkaError

from dunning_cli.demo.books import Books
from dunning_cli.demo.ledger import Ledger
from dunning_cli.demo.processor import Answer, Processor, Running
from tests.beside import beside
from tests.e2e.foreign import (
    FAILED,
    RETRY_REQUESTED,
    SIGNALS,
    SUCCEEDED,
    ForeignClient,
    Form,
    Invoice,
    Message,
    a_foreign_client,
    failed,
    now,
    succeeded,
    wrapped,
)
from tests.e2e.watch import Watch

_LOOK_SECONDS = 0.05


class Shop:
    """The books, and whoever writes what happened."""

    def __init__(self, client: ForeignClient, ledger: Ledger, seed: int) -> None:
        self._client = client
        self._books = Books()
        self._running = Running(Processor(ledger, seed, self._books), self._say_answer, lambda: datetime.now(UTC))

    def owes(self, invoice: Invoice) -> bool:
        """Whether somebody still has to pay."""
        return bool(self._books.owed_minor(invoice.id))

    async def fails(self, invoice: Invoice, form: Form) -> None:
        """A payment that did not come."""
        await self._happens(FAILED, failed(invoice), invoice.account_id, form)

    async def pays(self, invoice: Invoice, form: Form) -> None:
        """Somebody pays by themselves, unless it was charged in the meantime."""
        if self.owes(invoice):
            body = succeeded(invoice).replace(b'"payment_id":"pay_', b'"initiated_by":"customer","payment_id":"own_')
            await self._happens(SUCCEEDED, body, invoice.account_id, form)

    async def signals(self, account_id: str, kind: str, said: str) -> None:
        """An operator says something about an account; `said` are the members of JSON that this kind has."""
        body = f'{{"kind":"{kind}","account_id":"{account_id}","at":"{now()}",{said}}}'
        await self._say(SIGNALS, Message(body.encode()), account_id)

    async def answer(self, seen: Watch) -> None:
        """Charge what is asked for, until cancelled."""
        taken = 0
        while True:
            news, taken = seen.events[taken:], len(seen.events)
            for event in news:
                if event.topic == RETRY_REQUESTED:
                    self._running.take(event.data)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _happens(self, topic: str, body: bytes, account_id: str, form: Form) -> None:
        self._books.read(topic, json.loads(body))
        await self._say(topic, wrapped(form, topic, body), account_id)

    async def _say_answer(self, answer: Answer) -> None:
        message = wrapped(Form.BINARY, answer.topic, json.dumps(answer.data).encode())
        await self._say(answer.topic, message, answer.data["account_id"])

    async def _say(self, topic: str, message: Message, account_id: str) -> None:
        """Until Kafka has it: perhaps twice then, which is nobody's trouble."""
        while True:
            try:
                await self._client.write(topic, message, account_id)
            except KafkaError:
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return


@asynccontextmanager
async def a_shop(kafka: str, ledger_file: Path, seed: int, seen: Watch) -> AsyncIterator[Shop]:
    """Open for the length of the block."""
    with Ledger(ledger_file) as ledger:
        async with a_foreign_client(kafka) as client:
            shop = Shop(client, ledger, seed)
            async with beside(shop.answer(seen)):
                yield shop
