"""A policy that goes from the first failure to the suspension in seconds, and how every case under it must end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.beside import beside
from tests.e2e.foreign import NOTICE_RESULT, Invoice
from tests.e2e.shop import Shop
from tests.e2e.watch import Event, Watch, eventually, parsed

TRACKS = {"retry": "recovered", "notice": "recovered", "account": "active"}  # and where each ends with money
GIVEN_UP = ("exhausted", "waiting_for_customer")
POLICY = """
id: hurried
version: 1
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [1s, 2s], technical_after: [1s, 1s], timeout: 4s, window: 1h}
ladder:
  - {rung: payment_failed,     at: 0s, account: past_due, notice: {template: payment_failed, channels: [email]}}
  - {rung: suspension_warning, at: 4s, notice: {template: suspension_warning, channels: [email]}}
  - {rung: suspended,          at: 8s, account: suspended, warned_by: suspension_warning, lead: 4s,
     notice: {template: suspended, channels: [email]}}
contact: {quiet_hours: none}
"""
# A mail that was on the wire when the dispatcher died is given up when its lease is over: so the lease is short here,
# and what one mail may take has to be shorter.
SETTINGS = {
    "DUNNING_ERRAND_LEASE_SECONDS": "30",
    "DUNNING_ERRAND_PAUSE_SECONDS": "1",
    "DUNNING_SMTP_CONNECT_TIMEOUT_SECONDS": "3",
    "DUNNING_SMTP_COMMAND_TIMEOUT_SECONDS": "2",
    "DUNNING_SMTP_ANSWER_TIMEOUT_SECONDS": "10",
}
_LOOK_SECONDS = 0.05


class Post:
    """The notices whose mails arrived; each mail is read once."""

    def __init__(self, mail_dir: Path) -> None:
        self._mail_dir = mail_dir
        self._known: dict[str, str] = {}

    def notice_ids(self) -> set[str]:
        """Of all mails so far."""
        for path in self._mail_dir.glob("*.eml"):
            if path.name not in self._known:
                self._known[path.name] = str(parsed(path)["X-Dunning-Notice-Id"] or "")
        return set(self._known.values())


async def taken_by_all(seen: Watch, shop: Shop, invoice: Invoice) -> None:
    """Until each of the services has begun with a case; what was paid while one was away may be no case to it."""
    account = invoice.account_id

    def is_taken() -> bool:
        return not shop.owes(invoice) or all(seen.stages(account, track) for track in TRACKS)

    await eventually(is_taken, lambda: f"{account} on all tracks: {seen.story(account)}")


async def ended(seen: Watch, shop: Shop, invoice: Invoice) -> None:
    """Until whoever paid is active again, and whoever did not is suspended, was told so, and is charged no more."""
    account = invoice.account_id

    def has_ended() -> bool:
        stages = {track: seen.stages(account, track) for track in TRACKS}
        if not shop.owes(invoice):
            return all(not stages[track] or stages[track][-1] == end for track, end in TRACKS.items())
        told = any(event.topic == NOTICE_RESULT and event.data["rung"] == "suspended" for event in seen.of(account))
        return (
            told
            and stages["account"][-1:] == ["suspended"]
            and any(stage in GIVEN_UP for stage in stages["retry"][-1:])
        )

    await eventually(has_ended, lambda: f"{account} to end, owing {shop.owes(invoice)}: {seen.story(account)}")


async def every_mail_is_accounted_for(post: Post, seen: Watch) -> None:
    """Until the dispatcher has said of each mail that arrived what it knows of it."""

    def missing() -> set[str]:
        told = {event.data["notice_id"] for event in seen.events if event.topic == NOTICE_RESULT}
        return post.notice_ids() - told

    await eventually(lambda: not missing(), lambda: f"results of {missing()}")


@asynccontextmanager
async def an_operator(post: Post, shop: Shop, seen: Watch) -> AsyncIterator[None]:
    """Somebody who looks after warnings whose fate is unknown, without whom nobody would be suspended after them."""
    async with beside(look_after_unknown_warnings(post, shop, seen)):
        yield


async def look_after_unknown_warnings(post: Post, shop: Shop, seen: Watch) -> None:
    """What did arrive after all is reported; who got nothing is written to at another address (rules 30 and 31)."""
    looked_at, done = 0, set[str]()
    while True:
        news, looked_at = seen.events[looked_at:], len(seen.events)
        for unknown in (event for event in news if is_unknown_warning(event, done)):
            done.add(unknown.data["notice_id"])
            await _look_after(unknown, post, shop)
        await asyncio.sleep(_LOOK_SECONDS)


async def _look_after(unknown: Event, post: Post, shop: Shop) -> None:
    notice_id, account = unknown.data["notice_id"], unknown.data["account_id"]
    if notice_id in post.notice_ids():
        await shop.signals(account, "notice.delivered", f'"notice_id":"{notice_id}","channel":"email"')
    else:
        address = f"second.{account}@customers.example"
        await shop.signals(account, "customer.updated", f'"customer":{{"email":"{address}"}}')


def is_unknown_warning(event: Event, done: set[str]) -> bool:
    """A warning that may or may not have arrived, and that nobody has looked after yet."""
    return event.is_result("suspension_warning", "unknown") and event.data["notice_id"] not in done
