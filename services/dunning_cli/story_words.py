"""The words of a story: what each reason and outcome means, said to a person."""

from collections.abc import Mapping
from typing import Any

_REASONS = {
    "payment_failed": "a payment failed",
    "grace_period_expired": "the grace period is over",
    "retries_exhausted": "all planned retries are used up",
    "hard_declined": "this payment method was declined for good",
    "needs_customer": "no charge can succeed before the customer acts",
    "budget_exhausted": "the card network allows no further charge",
    "paid": "it was paid",
    "paid_elsewhere": "it was paid without a charge of ours",
    "voided": "the invoice was voided",
    "reinstated": "the account was reinstated",
    "terminated": "the account was terminated",
    "customer_unreachable": "the customer could not be reached",
    "soft": "the refusal was a temporary one",
    "hard": "the refusal was final",
    "technical": "nothing was decided, a technical failure",
    "unknown": "the refusal's code is not known",
    "partially_paid": "a part was paid",
    "payment_method_updated": "there is a new payment method",
    "retry_now": "an operator asked for it",
    "paused": "an operator paused it",
    "disputed": "the customer disputes the invoice",
    "resumed": "nothing holds it any more",
    "dates_moved": "its open dates moved",
    "carried_over": "the case before it was there already",
    "open_cases_changed": "its open cases changed",
}
_OF_TRACK = {("retry", "paid"): "the charge that we asked for went through"}
_WHY_NOT_SENT = {
    "no_address": "there is no address",
    "address_bounced": "mail to this address came back before",
    "address_tried": "this address was tried before",
    "channel_shut": "the policy's cap on this channel is 0",
    "no_consent": "the customer does not allow this channel",
    "erased": "the customer's data was erased",
    "channel_not_configured": "nobody is configured to deliver on this channel",
    "superseded": "a later notice says more",
    "paid": "it was paid",
    "voided": "the invoice was voided",
    "terminated": "the account was terminated",
}
_SIGNALS = {
    "payment_method.updated": "The customer entered a new payment method",
    "payment_method.expiring": "The payment method expires soon",
    "customer.updated": "The customer's data changed",
    "invoice.voided": "The invoice was voided",
    "invoice.adjusted": "The invoice's amount was changed",
    "case.closed": "An operator closed the case",
    "case.paused": "An operator paused the case",
    "case.resumed": "An operator ended the pause",
    "case.extended": "An operator gave more time",
    "dispute.opened": "The customer disputes the invoice",
    "dispute.closed": "The dispute is over",
    "promise.made": "The customer promised to pay",
    "plan.agreed": "Payment in installments was agreed",
    "account.tagged": "The account was tagged",
    "account.untagged": "A tag was taken off the account",
    "retry.now": "An operator asked for a charge now",
    "account.reinstated": "An operator reinstated the account",
    "consent.changed": "The customer's consent changed",
    "account.erased": "The customer's data was erased",
    "notice.delivered": "A receipt came back",
    "notice.bounced": "A message came back",
}
_SIGNALS_OF_ALL = {
    "case.paused": "An operator paused all cases of the account",
    "case.resumed": "An operator ended the pauses of the account",
}


def because(reason: str, track: str) -> str:
    """A reason as the second half of a sentence. Words that nobody planned for, such as an operator's, are quoted."""
    known = _OF_TRACK.get((track, reason)) or _REASONS.get(reason)
    return known or (reason.replace("_", " ") if reason.replace("_", "").isalpha() else f'"{reason}"')


def notice_outcome(data: Mapping[str, Any], *, delivered: bool) -> str:
    """What became of a notice on its channel."""
    channel, rung, reason = data["channel"], data["rung"], data.get("reason")
    match data["outcome"]:
        case "sent":
            return f"{rung} went out by {channel}" + (" and was delivered." if delivered else ".")
        case "delivered":
            return f"{rung} was delivered by {channel}."
        case "suppressed" | "superseded":
            why = _WHY_NOT_SENT.get(reason or "", (reason or "nothing more was said").replace("_", " "))
            return f"{rung} was not sent by {channel}: {why}."
        case "unknown" if reason == "no_receipt":
            return f"{rung} by {channel}: no receipt came within a day, so nobody knows whether it arrived."
        case "bounced":
            return f"{rung} came back undelivered by {channel}."
        case outcome:
            return f"{rung} by {channel}: {outcome}" + (f", {reason}." if reason else ".")


def consequence(status: str, owed: str) -> str:
    """What an account status means for whoever owes."""
    if status == "terminated":
        return " until it is reinstated, whatever is paid"
    if status == "active" or not owed:
        return ""
    return f" until {owed} are paid"


def signal_text(data: Mapping[str, Any]) -> str:
    """A fact or an order from outside."""
    of_all = None if "invoice_id" in data else _SIGNALS_OF_ALL.get(data["kind"])
    text = of_all or _SIGNALS.get(data["kind"], f"Signal {data['kind']}")
    method = data.get("payment_method") or {}
    if "last4" in method:
        text += f" ({method.get('brand', method.get('type', ''))} ending in {method['last4']})"
    if data["kind"] == "consent.changed":
        text += f": {data['channel']} is {'allowed' if data['allowed'] else 'not allowed'}"
    if "rung" in data:
        text += f": {data['rung']} by {data['channel']}"
    return f"{text}{_further(data)}."


def _further(data: Mapping[str, Any]) -> str:
    """What a signal adds: until when, how much, which tag, an operator's words."""
    said = ""
    match data["kind"]:
        case "case.paused":
            said = " until " + (_day(data["until"]) if data.get("until") else "case.resumed")
        case "case.extended":
            said = f": open dates move by {data['by']}"
        case "account.tagged" | "account.untagged":
            said = f": {data['tag']}"
        case "promise.made":
            said = f" by {_day(data['pay_by'])}"
        case "plan.agreed":
            parts = data["installments"]
            said = f": {len(parts)}, the last due {_day(max(part['due_at'] for part in parts))}"
    reason = data.get("reason")
    return f'{said} ("{reason}")' if reason and data["kind"] in _WITH_REASON else said


_WITH_REASON = frozenset({"case.paused", "case.closed"})


def _day(at: str) -> str:
    return f"{at[:10]} {at[11:16]}"
