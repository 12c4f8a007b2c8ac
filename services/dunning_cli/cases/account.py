"""Everything about one account: what it may do, what it owes, how it can be reached, and its cases."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from account_enforcement.case import EnforcedAccount
from dunning.domain.rfc3339 import instant
from dunning_cli.cases.gather import Upcoming, account_keys, gather_upcoming
from dunning_cli.cases.read import Key, Published, Reading, TrackRow
from dunning_cli.cases.text import case_json, case_lines, expected_json, sentence
from dunning_cli.discreet import masked, shown, visible
from dunning_cli.listing import utc
from dunning_cli.money import money
from dunning_cli.story_words import because
from notification_dispatcher.case import NoticeAccount
from retry_scheduler.case import RetryAccount
from retry_scheduler.methods import newest_known

HISTORY_MAX = 20
_ADDRESSES = ("email", "phone", "postal_address")


@dataclass(frozen=True, slots=True)
class AccountView:
    """What each service holds of the account, its cases, and the statuses that were published."""

    account_id: str
    enforced: EnforcedAccount | None
    noticed: NoticeAccount | None
    retried: RetryAccount | None
    rows: Mapping[Key, Mapping[str, TrackRow]]
    more_cases: bool
    upcoming: Sequence[Upcoming]  # of the open ones among them
    history: Sequence[Published]


async def gather_account(reading: Reading, account_id: str, limit: int, now: datetime) -> AccountView | None:
    """The account, or None where nobody knows it."""
    held = [each.account for each in (await reading.held(Key(account_id, ""))).values()]
    keys = await account_keys(reading, account_id, limit + 1)
    if not held and not keys:
        return None
    rows = await reading.rows(keys[:limit])
    upcoming = [await gather_upcoming(reading, case_id, key, now) for key, case_id in _open_cases(rows)]
    return AccountView(
        account_id=account_id,
        enforced=next((each for each in held if isinstance(each, EnforcedAccount)), None),
        noticed=next((each for each in held if isinstance(each, NoticeAccount)), None),
        retried=next((each for each in held if isinstance(each, RetryAccount)), None),
        rows=rows,
        more_cases=len(keys) > limit,
        upcoming=upcoming,
        history=(await reading.account_story(account_id))[-HISTORY_MAX:],
    )


def _open_cases(rows: Mapping[Key, Mapping[str, TrackRow]]) -> Iterator[tuple[Key, str]]:
    for key, tracks in rows.items():
        present = next((row.case_id for row in tracks.values() if row.open), None)
        if present is not None:
            yield key, present


def account_lines(view: AccountView) -> list[str]:
    """For people."""
    more = ["more cases: `dunning case list --account` with a higher --limit"] if view.more_cases else []
    return [
        *_standing(view),
        *_reachable(view),
        *_charged(view),
        "",
        *(case_lines(view.rows) if view.rows else ["no cases"]),
        *more,
        *_next(view),
        *_history(view),
    ]


def _standing(view: AccountView) -> Iterator[str]:
    yield f"account {visible(view.account_id)}"
    if view.enforced is None:
        yield "status: active as far as is known; account_enforcement has not read of it"
        return
    published = view.enforced.published
    since = f" since {_utc(published.since)}" if published.since else ""
    yield f"status: {published.status}{since}"
    if published.to_reinstate:
        owed = " and ".join(money(one.amount_minor, one.currency) for one in published.to_reinstate)
        yield f"to be active again: {owed}"


def _reachable(view: AccountView) -> Iterator[str]:
    """Which ways there are, never the address itself."""
    if view.noticed is None:
        return
    facts, bounced = view.noticed.facts, set(view.noticed.bounced.values())
    known = [(name, facts.get(name)) for name in _ADDRESSES]
    ways = [
        f"{name.replace('_', ' ')} {visible(masked(value))}{', came back for good' if value in bounced else ''}"
        for name, value in known
        if value
    ]
    where = [f"{name} {visible(value)}" for name in ("locale", "timezone", "country") if (value := facts.get(name))]
    yield f"reached by: {'; '.join(ways) or 'no address is known'}" + (f" ({', '.join(where)})" if where else "")


def _charged(view: AccountView) -> Iterator[str]:
    if view.retried is None:
        return
    method = newest_known(view.retried)
    if method is None:
        return
    name = " ".join(
        part for part in (method.brand or method.type, method.last4 and f"ending in {method.last4}") if part
    )
    barred = ": declined for good, charged no more" if method.key in view.retried.barred else ""
    yield f"pays with: {visible(name or method.key)}{barred}"


def _next(view: AccountView) -> Iterator[str]:
    steps = [(each, step) for each in view.upcoming for step in each.steps]
    if not steps:
        return
    yield ""
    yield "what comes next (times are UTC)"
    for each, step in sorted(steps, key=lambda one: (one[1].at is None, one[1].at or datetime.max.replace(tzinfo=UTC))):
        yield f"  {_utc(step.at) or ' ' * 20}  {visible(each.key.invoice_id)}  {step.track:<7}  {shown(sentence(step))}"


def _history(view: AccountView) -> Iterator[str]:
    if not view.history:
        return
    yield ""
    yield f"what its status was (the last {HISTORY_MAX} changes, times are UTC)"
    for each in view.history:
        data = each.data
        owed = " and ".join(money(one["amount_minor"], one["currency"]) for one in data["to_reinstate"])
        said = f"{data['status']} since {_utc(instant(data['since']))}, because {because(data['reason'], 'account')}"
        cases = f"open cases: {len(data['open_cases'])}" + (f", {owed} to be active again" if owed else "")
        yield f"  {shown(said)}; {cases}{'' if each.published_at else ' (on its way to Kafka)'}"


def account_json(view: AccountView) -> dict[str, Any]:
    """For programs; personal data shortened here too."""
    published = view.enforced.published if view.enforced else None
    facts = view.noticed.facts if view.noticed else None
    return {
        "account_id": view.account_id,
        "status": str(published.status) if published else None,
        "since": published.since if published else None,
        "to_reinstate": [
            {"currency": one.currency, "amount_minor": one.amount_minor}
            for one in (published.to_reinstate if published else ())
        ],
        "addresses": {name: masked(value) for name in _ADDRESSES if facts and (value := facts.get(name))},
        "bounced_channels": sorted(view.noticed.bounced) if view.noticed else [],
        "cases": [case_json(key, tracks) for key, tracks in view.rows.items() if tracks],
        "more_cases": view.more_cases,
        "next": [
            {"case_id": each.case_id, "invoice_id": each.key.invoice_id, **step}
            for each in view.upcoming
            for step in expected_json(each.steps)
        ],
        "statuses": [dict(each.data) for each in view.history],
    }


def _utc(at: datetime | None) -> str:
    return utc(at) if at else ""
