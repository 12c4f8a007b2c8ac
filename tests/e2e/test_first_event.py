"""The first event: written by a foreign client in each readable form, it goes all the way, and a payment back again."""

from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests import stack
from tests.e2e.foreign import ACCOUNT_STATUS, MINOR, STAGE_CHANGED, Form, Invoice, Message, a_foreign_client
from tests.e2e.platform import Platform
from tests.e2e.shared import a_platform
from tests.e2e.watch import Event, Mail, Watch, eventually, mails_to, watching

# A whole ladder in seven seconds. The first notice is a warning as well, so that it goes out however late it is.
POLICY = """
id: quick
version: 1
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [1s, 3s], timeout: 2s, window: 1h}
ladder:
  - {rung: payment_failed,     at: 0s, account: past_due, notice: {template: payment_failed, channels: [email]}}
  - {rung: suspension_warning, at: 3s, notice: {template: suspension_warning, channels: [email]}}
  - {rung: restricted,         at: 5s, account: restricted, warned_by: payment_failed, lead: 5s}
  - {rung: suspended,          at: 7s, account: suspended, warned_by: suspension_warning, lead: 4s,
     notice: {template: suspended, channels: [email]}}
contact: {quiet_hours: none}
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, servers: stack.Servers) -> Iterator[Platform]:
    """One platform for all forms."""
    with a_platform(tmp_path_factory.mktemp("first-event"), servers, {"quick": POLICY}) as running:
        yield running


@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", list(Form))
async def test_an_event_of_a_foreign_client_goes_all_the_way_and_a_payment_back_again(
    platform: Platform, form: Form
) -> None:
    invoice = Invoice(form.value)
    account = invoice.account_id
    async with (
        a_foreign_client(platform.kafka, platform.topic_prefix) as shop,
        watching(platform.kafka, platform.topic_prefix) as seen,
    ):
        failure = await shop.fails(invoice, form)
        mail = await eventually(lambda: next(iter(mails_to(platform.mail_dir, invoice.email)), None), "the first mail")
        request = await seen.request(account, 2)
        suspended = await seen.status(account, "suspended")
        await seen.result(account, "suspended", "delivered")
        payment = await shop.pays(invoice, form)
        active = await seen.status(account, "active", reason="paid")
        await all_recovered(seen, account)

        assert_asked_for_a_charge(request, invoice)
        assert_told_in_a_mail(mail, invoice, await seen.result(account, "payment_failed", "delivered"))
        assert_suspended(suspended, invoice)
        assert_reinstated_by(active, payment)
        assert seen.statuses(account) == ["active", "past_due", "restricted", "suspended", "active"]
        assert_all_of_one_case(seen, account, failure)
    verdict = platform.verify("--settled")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


async def test_the_latest_status_of_an_account_is_never_thrown_away(platform: Platform) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.kafka)
    await admin.start()
    topic = ConfigResource(ConfigResourceType.TOPIC, platform.topic_prefix + ACCOUNT_STATUS)
    (answer,) = await admin.describe_configs([topic])
    await admin.close()

    settings = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert settings["cleanup.policy"] == "compact"


async def all_recovered(seen: Watch, account: str) -> None:
    """Until each of the three tracks has ended."""
    for track, end in (("retry", "recovered"), ("notice", "recovered"), ("account", "active")):
        await seen.stage(account, track, end)


def assert_asked_for_a_charge(request: Event, invoice: Invoice) -> None:
    said = request.data
    assert (said["account_id"], said["invoice_id"], said["payment_id"]) == (
        invoice.account_id,
        invoice.id,
        f"pay_{invoice.name}",
    )
    assert (said["amount_minor"], said["currency"]) == (MINOR, "EUR")
    assert said["retry_id"] == f"{said['case_id']}:2"


def assert_told_in_a_mail(mail: Mail, invoice: Invoice, delivered: Event) -> None:
    notice_id = delivered.data["notice_id"]
    assert mail.header("To") == f"Zoë Example <{invoice.email}>"
    assert mail.header("X-Dunning-Notice-Id") == notice_id
    assert mail.header("Message-ID") == f"<{notice_id}@localhost>"
    link = f"https://pay.example.com/update?invoice={invoice.id}"
    assert "€49.00" in mail.part("plain")
    assert "2026-0017" in mail.part("plain")
    assert link in mail.part("plain")
    assert "€49.00" in mail.part("html")
    assert link in mail.part("html")


def assert_suspended(status: Event, invoice: Invoice) -> None:
    """On a machine that is late with both, one status tells of the restriction and the suspension."""
    said = status.data
    assert said["previous_status"] in ("past_due", "restricted")
    assert said["reason"] == "grace_period_expired"
    assert [(case["invoice_id"], case["amount_minor"]) for case in said["open_cases"]] == [(invoice.id, MINOR)]
    assert said["to_reinstate"] == [{"currency": "EUR", "amount_minor": MINOR}]


def assert_reinstated_by(status: Event, payment: Message) -> None:
    """In the moment of the payment: it, and no timer, is what caused it."""
    said = status.data
    assert (said["previous_status"], said["reason"]) == ("suspended", "paid")
    assert (said["open_cases"], said["to_reinstate"]) == ([], [])
    assert payment.event_id in (None, status.attributes["causationid"])


def assert_all_of_one_case(seen: Watch, account: str, failure: Message) -> None:
    """Each track tells its story without a gap and of one case; the one that begins at once says which event did it."""
    transitions = [event for event in seen.of(account) if event.topic == STAGE_CHANGED]
    assert len({event.attributes["correlationid"] for event in transitions}) == 1
    for track in ("retry", "notice", "account"):
        told = [event for event in transitions if event.data["track"] == track]
        assert [event.attributes["sequence"] for event in told] == [str(number) for number in range(1, len(told) + 1)]
    first = next(event for event in transitions if event.data["track"] == "retry")
    assert failure.event_id in (None, first.attributes["causationid"])
