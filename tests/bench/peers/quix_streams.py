"""The job of one service with Quix Streams, exactly once, state in RocksDB: see `tests/bench/peers/__init__.py`.

Runs in an environment of its own, with `BOOTSTRAP`, `SOURCE`, `TARGET` and `STATE` in its environment variables.
"""

import os

from quixstreams import Application

app = Application(
    broker_address=os.environ["BOOTSTRAP"],
    consumer_group="quix-streams",
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    state_dir=os.environ["STATE"],
    loglevel="WARNING",
)
source = app.topic(os.environ["SOURCE"], key_deserializer="str", value_deserializer="json")
target = app.topic(os.environ["TARGET"], key_serializer="str", value_serializer="json")


def open_case(failure, state):
    """A case for an invoice's first failure, and a transition; None where it is known already."""
    invoice = failure["invoice"]["id"]
    known = state.get("cases", {})
    if invoice in known:
        return None
    state.set("cases", {**known, invoice: {"stage": "scheduled", "amount": failure["invoice"]["amount_due_minor"]}})
    return {
        "account_id": failure["account_id"],
        "invoice_id": invoice,
        "from_stage": "none",
        "to_stage": "scheduled",
    }


app.dataframe(source).apply(open_case, stateful=True).filter(lambda transition: transition is not None).to_topic(target)
app.run()
