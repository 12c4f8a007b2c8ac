"""What comes in takes effect once, and what cannot be used is set aside without stopping the rest."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from aiokafka.producer import message_accumulator, producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from dunning.domain.decision import Decision
from dunning.domain.events import Input, PaymentFailed
from dunning.testing.toy import ToyAccount, decide
from tests.kernel import Kernel, failure


def headers_of(record: Any) -> dict[str, bytes]:
    return dict(record.headers)


async def test_the_same_event_twice_acts_once(kernel: Kernel) -> None:
    async with kernel.instance() as instance:
        await kernel.fails("acc-1", "pay-1")
        await kernel.fails("acc-1", "pay-1", partition=1)
        await kernel.fails("acc-1", "pay-2")

        assert await kernel.transitions(2) == {"acc-1": [1, 2]}
        topic = kernel.topic("payment.failed")
        assert instance.metrics.duplicates.labels(topic)._value.get() == 1


async def test_the_same_key_with_another_content_is_a_dead_letter(kernel: Kernel) -> None:
    async with kernel.instance():
        await kernel.fails("acc-1", "pay-1")
        other = failure("acc-1", "pay-1").replace(b"1200", b"1300")
        await kernel.send("payment.failed", other, key="acc-1")

        (letter,) = await kernel.dead_letters(1)
        assert headers_of(letter)["dlq-reason"] == b"conflicting_duplicate"
        assert letter.value == other
        assert await kernel.transitions(1) == {"acc-1": [1]}


async def test_what_nobody_can_read_stands_in_nobodys_way(kernel: Kernel) -> None:
    async with kernel.instance():
        await kernel.fails("acc-1", "pay-1")
        broken_at = await kernel.send("payment.failed", b"\xff not json", key="acc-1")
        await kernel.producer.send_and_wait(
            kernel.topic("payment.failed"), None, key=b"\xfe", partition=0, headers=[("origin", b"\x00\xff")]
        )
        await kernel.producer.send_and_wait(kernel.topic("payment.failed"), b"{}", partition=0)
        await kernel.fails("acc-1", "pay-2")

        assert await kernel.transitions(2) == {"acc-1": [1, 2]}
        letters = {headers_of(each)["dlq-offset"]: each for each in await kernel.dead_letters(3)}

    broken = letters[str(broken_at).encode()]
    assert (broken.key, broken.value) == (b"acc-1", b"\xff not json")
    told = headers_of(broken)
    assert told["dlq-topic"] == kernel.topic("payment.failed").encode()
    assert (told["dlq-partition"], told["dlq-service"]) == (b"0", b"toy")
    null = letters[str(broken_at + 1).encode()]
    assert (null.key, null.value, headers_of(null)["origin"]) == (b"\xfe", None, b"\x00\xff")
    assert headers_of(null)["dlq-reason"] == b"null_value"
    keyless = letters[str(broken_at + 2).encode()]
    assert (keyless.key, keyless.value) == (None, b"{}")


class Raw(str):
    """A header's name whose bytes on the wire are no text."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfe"


async def test_a_header_name_that_is_no_text_stands_in_nobodys_way(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka's producer in Python lets one write it; its consumer would read nothing behind it any more."""
    for module in (producer, message_accumulator):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    async with kernel.instance():
        for value in (failure("acc-1", "pay-1"), b"\xff not json"):
            await kernel.producer.send_and_wait(
                kernel.topic("payment.failed"), value, key=b"acc-1", partition=0, headers=[(Raw("odd"), b"1")]
            )
        await kernel.fails("acc-1", "pay-2")

        assert await kernel.transitions(2) == {"acc-1": [1, 2]}
        (letter,) = await kernel.dead_letters(1)
        assert (letter.value, headers_of(letter)["??"]) == (b"\xff not json", b"1")


def decide_with_accidents(account: ToyAccount, event: Input, now: datetime) -> Decision:
    """The toy's decision, with two mistakes: one raises, one makes something that the database refuses."""
    decision = decide(account, event, now)
    if isinstance(event, PaymentFailed) and event.failure.code == "raise":
        raise RuntimeError("a mistake")
    if isinstance(event, PaymentFailed) and event.failure.code == "unstorable":
        account.cases[event.invoice_id].count = 2**40
    return decision


@pytest.mark.parametrize("code", ["raise", "unstorable"])
async def test_a_mistake_of_ours_costs_one_event_and_not_the_partition(kernel: Kernel, code: str) -> None:
    kernel.service = replace(kernel.service, decide=decide_with_accidents)
    for account in ("acc-1", "acc-2", "acc-3"):
        await kernel.fails(account, "pay-1")
    await kernel.fails("acc-2", "pay-2", code=code)
    await kernel.fails("acc-2", "pay-3")
    async with kernel.instance():
        assert await kernel.transitions(4) == {"acc-1": [1], "acc-2": [1, 2], "acc-3": [1]}
        (letter,) = await kernel.dead_letters(1)

    assert headers_of(letter)["dlq-reason"] == b"decision_failed"
    assert letter.value == failure("acc-2", "pay-2", code=code)


async def test_what_the_service_rejects_is_a_dead_letter_with_its_reason(kernel: Kernel) -> None:
    async with kernel.instance():
        await kernel.fails("acc-1", code="toy_reject")

        (letter,) = await kernel.dead_letters(1)
        assert headers_of(letter)["dlq-reason"] == b"toy_reject"


async def test_many_events_of_one_account_keep_their_order(kernel: Kernel) -> None:
    for number in range(300):
        await kernel.producer.send(
            kernel.topic("payment.failed"), failure("acc-1", f"pay-{number}"), key=b"acc-1", partition=number % 2
        )
    await kernel.producer.flush()
    async with kernel.instance(batch_records=50):
        assert await kernel.transitions(300) == {"acc-1": list(range(1, 301))}
