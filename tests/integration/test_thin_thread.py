"""The thin thread: one event into a real Kafka, through one turn in a real PostgreSQL, out as a transition."""

import orjson

from tests.kernel import Kernel


async def test_a_failed_payment_comes_out_as_a_transition(kernel: Kernel) -> None:
    async with kernel.instance():
        await kernel.fails("acc-1")

        (record,) = await kernel.published(1)

    headers = dict(record.headers)
    assert record.key == b"acc-1"
    assert headers["ce_type"] == b"dunning.stage.changed.v1"
    assert headers["ce_sequence"] == b"1"
    data = orjson.loads(record.value)
    assert (data["track"], data["from_stage"], data["to_stage"]) == ("retry", "none", "scheduled")
    assert (data["invoice_id"], data["amount_minor"], data["currency"]) == ("inv-acc-1", 1200, "EUR")
