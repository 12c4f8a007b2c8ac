"""Promise 5, the notices: at most one per case, rung, channel and address, and no mail that nobody speaks of."""

from collections import defaultdict
from collections.abc import Iterator

from dunning_verifier.history import History, once
from dunning_verifier.values import Mail, Result, Violation

PROMISE = 5
_WENT_OUT = {"sent", "delivered", "bounced", "unknown"}


def check(history: History) -> Iterator[Violation]:
    """Results by themselves, then results beside the mails."""
    results = once(history.results)
    by_notice: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_notice[result.notice_id].append(result)
    yield from _sent_once(by_notice)
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
        elif results and not any(result.outcome in _WENT_OUT for result in results):
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
