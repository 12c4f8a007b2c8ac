"""The job of one service as a Faust agent with a table, as its manual shows it: see `tests/bench/peers/__init__.py`.

Runs in an environment of its own, with `BOOTSTRAP`, `SOURCE`, `TARGET` and `PARTITIONS` in its environment variables.
"""

import os

import faust

partitions = int(os.environ["PARTITIONS"])
app = faust.App(
    "faust-agent",
    broker=f"kafka://{os.environ['BOOTSTRAP']}",
    store="memory://",
    topic_partitions=partitions,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
source = app.topic(os.environ["SOURCE"], key_type=str, key_serializer="raw", value_serializer="json")
target = app.topic(os.environ["TARGET"], key_type=str, key_serializer="raw", value_serializer="json")
cases = app.Table("cases", default=dict, partitions=partitions)


@app.agent(source)
async def open_cases(stream):
    """A case for an invoice's first failure, and a transition; one that is known already changes nothing."""
    async for failure in stream:
        account, invoice = failure["account_id"], failure["invoice"]["id"]
        known = cases[account]
        if invoice not in known:
            cases[account] = {
                **known,
                invoice: {"stage": "scheduled", "amount": failure["invoice"]["amount_due_minor"]},
            }
            transition = {"account_id": account, "invoice_id": invoice, "from_stage": "none", "to_stage": "scheduled"}
            await target.send(key=account.encode(), value=transition)


if __name__ == "__main__":
    app.main()
