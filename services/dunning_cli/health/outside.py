"""What the database and the broker cannot tell: whether the services say they are ready, and the mail server."""

import json
from urllib.error import HTTPError
from urllib.request import urlopen

from dunning_cli.health.findings import Finding, ok, problem, warning
from dunning_cli.health.live import BRAKE
from dunning_cli.stack.reach import why_no_connection
from notification_dispatcher.channels.settings import SmtpServer

SERVICE, SMTP = "services", "smtp"
_ANSWER_SECONDS_MAX = 5
_ANSWER_BYTES_MAX = 20_000


def look_at_service(service: str, metrics_url: str | None) -> Finding:
    """What `/readyz` says; where it is, is known of a stack that `dunning up` runs."""
    if metrics_url is None:
        name = f"DUNNING_METRICS_{service.upper()}_URL"
        return ok(SERVICE, f"{service}: not asked, {name} is not set; its lag says whether it works")
    try:
        with urlopen(f"{metrics_url.removesuffix('/metrics')}/readyz", timeout=_ANSWER_SECONDS_MAX) as answer:
            body = answer.read(_ANSWER_BYTES_MAX)
    except HTTPError as refusal:
        return _not_ready(service, refusal.read(_ANSWER_BYTES_MAX))
    except (OSError, ValueError) as error:
        cause = getattr(error, "reason", error)
        why = str(getattr(cause, "strerror", None) or cause).lower()
        return problem(
            SERVICE, f"{service}: {metrics_url} does not answer ({why})", f"`dunning up` or `dunning run {service}`"
        )
    return judge_ready(service, body)


def judge_ready(service: str, body: bytes) -> Finding:
    """A service that works may still have something that somebody has to look at."""
    alarms = _said_of(body, "alarms")
    if not alarms:
        return ok(SERVICE, f"{service} is ready")
    return warning(SERVICE, f"{service} is ready, but {alarms}", "docs/errors.md says what each code asks of you")


def _not_ready(service: str, body: bytes) -> Finding:
    said = _said_of(body, "troubles") or "its /readyz does not say why"
    return problem(SERVICE, f"{service} is not ready: {said}", "wait a moment; if it stays, its log says more")


def _said_of(body: bytes, kind: str) -> str:
    """What `/readyz` says of it; empty where it says nothing. The brake has a finding of its own."""
    try:
        parts = json.loads(body)[kind].items()
        return "; ".join(f"{part}: {said}" for part, said in parts if part != BRAKE)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""


def look_at_mail(smtp_url: str | None) -> Finding:
    """Whether somebody listens there. Whether mails are taken, only a mail can tell."""
    if not smtp_url:
        do = "set DUNNING_SMTP_URL, or every notice by email is suppressed (channel_not_configured)"
        return warning(SMTP, "no mail server is configured", do)
    try:
        server = SmtpServer.from_url(smtp_url)
    except ValueError as error:
        do = "correct DUNNING_SMTP_URL: notification_dispatcher refuses it"
        return problem(SMTP, f"DUNNING_SMTP_URL: {error}", do)
    address = f"{server.host}:{server.port}"
    refusal = why_no_connection(address)
    if refusal is None:
        return ok(SMTP, f"{address} answers")
    return problem(
        SMTP, f"no mail server answers at {address} ({refusal})", "is it running, and is DUNNING_SMTP_URL right?"
    )
