"""Promise 5, the notices: at most one per case, rung, channel and address, and no mail that nobody speaks of."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from dunning_verifier.clock import Span
from dunning_verifier.history import History
from dunning_verifier.values import WENT_OUT, Mail, Result, Signal, Violation

PROMISE = 5
_BOUNCED = "notice.bounced"
_ADDRESSES = ("email", "phone", "postal_address")
_WARNING_LASTS_DAYS = 14  # beyond its lead


def check(history: History) -> Iterator[Violation]:
    """Results by themselves, then results beside the mails."""
    results = history.results_once
    by_notice: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_notice[result.notice_id].append(result)
    yield from _sent_once(by_notice)
    yield from _sent_under_one_id(history, by_notice)
    if history.mails is not None:
        yield from _mailed_once(history.mails, by_notice)
        yield from _mails_with_results(history, history.mails, by_notice)
        yield from _results_with_mails(history.mails, by_notice)


def _sent_once(by_notice: dict[str, list[Result]]) -> Iterator[Violation]:
    for notice_id, results in by_notice.items():
        sent = [result for result in results if result.outcome == "sent"]
        for again in sent[1:]:
            yield _violation(f"notice {notice_id} was sent before, at {sent[0].where}", again)
        places = {(result.case_ids, result.rung, result.channel) for result in results}
        if len(places) > 1:
            yield _violation(f"notice {notice_id} is used for different rungs, channels or cases", results[-1])


def _sent_under_one_id(history: History, by_notice: dict[str, list[Result]]) -> Iterator[Violation]:
    """Another address is another notice, but only a warning is brought to one; a warning that grew too old is sent once
    more (rules 25 and 31)."""
    elsewhere = _may_be_brought_elsewhere(history)
    before: dict[tuple[str, str, str], Result] = {}
    for results in by_notice.values():
        sent = next((result for result in results if result.outcome == "sent"), None)
        if sent is None:
            continue
        for case_id in sent.case_ids:
            former = before.get((case_id, sent.rung, sent.channel))
            before[case_id, sent.rung, sent.channel] = sent
            policy = history.policy_of(case_id)
            if former is None or policy is None:
                continue
            leads = [rung.lead for rung in policy.rungs if rung.warned_by == sent.rung]
            may_again = sent.account_id in elsewhere or any(_is_old(former, lead, sent) for lead in leads)
            if not leads or not may_again:
                told = f"{sent.channel} notice of {sent.rung} went out before, as {former.notice_id} at {former.where}"
                yield _violation(told, sent)


def _may_be_brought_elsewhere(history: History) -> set[str]:
    """Accounts of which more than one address was said, or whose notices bounced."""
    addresses: dict[tuple[str, str], set[str]] = defaultdict(set)
    found: set[str] = set()
    for event in history.inputs:
        if isinstance(event, Signal) and event.kind == _BOUNCED:
            found.add(event.account_id)
        for name in _ADDRESSES:
            addresses[event.account_id, name].add(str(event.customer.get(name)))
    return found | {account_id for (account_id, _), said in addresses.items() if len(said - {"None"}) > 1}


def _is_old(former: Result, lead: Span, again: Result) -> bool:
    """In the zone in which it comes first: others have it a day later at most."""
    age = again.at - former.at
    return age >= timedelta(days=lead.days + _WARNING_LASTS_DAYS - 1, seconds=lead.seconds)


def _mailed_once(mails: list[Mail], by_notice: dict[str, list[Result]]) -> Iterator[Violation]:
    names: dict[str, list[str]] = defaultdict(list)
    for mail in mails:
        if mail.notice_id is not None:
            names[mail.notice_id].append(mail.name)
    for notice_id, files in names.items():
        if len(files) == 1:
            continue
        result = next(iter(by_notice.get(notice_id, ())), None)
        account_id, case_id = (result.account_id, result.case_ids[0]) if result else (None, None)
        what = f"notice {notice_id} was mailed {len(files)} times"
        yield Violation(PROMISE, what, ", ".join(files), account_id, case_id)


def _mails_with_results(history: History, mails: list[Mail], by_notice: dict[str, list[Result]]) -> Iterator[Violation]:
    """A mail whose result is still to come is under way, as long as the run is not settled."""
    for mail in mails:
        results = by_notice.get(mail.notice_id or "", [])
        if mail.notice_id is None:
            yield Violation(PROMISE, "a mail that says of no notice that it is its", mail.name)
        elif not results and history.settled:
            yield Violation(PROMISE, f"notice {mail.notice_id} was mailed, but has no result", mail.name)
        elif results and not any(result.outcome in WENT_OUT for result in results):
            what = f"notice {mail.notice_id} was mailed ({mail.name}), but its result is {results[-1].outcome}"
            yield _violation(what, results[-1])


def _results_with_mails(mails: list[Mail], by_notice: dict[str, list[Result]]) -> Iterator[Violation]:
    """What is said to be sent by email reached the other side."""
    mailed = {mail.notice_id for mail in mails}
    for notice_id, results in by_notice.items():
        sent = next((one for one in results if one.outcome == "sent" and one.channel == "email"), None)
        if sent is not None and notice_id not in mailed:
            yield _violation(f"notice {notice_id} is said to be sent, but there is no such mail", sent)


def _violation(what: str, result: Result) -> Violation:
    return Violation(PROMISE, what, result.where, result.account_id, result.case_ids[0])
