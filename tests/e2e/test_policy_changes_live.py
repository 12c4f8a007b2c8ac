"""Policy files that change under a running service: a bad one changes nothing, a new version takes new cases only."""

import re

import pytest

from tests.e2e.alone import Ground, alone
from tests.e2e.foreign import Invoice
from tests.e2e.watch import eventually

POLICY = """
id: mine
version: {version}
timezone: UTC
fallback_timezone: UTC
retries: {{strategy: ladder, after: [{after}], window: 60d}}
ladder:
  - {{rung: payment_failed, at: 0s, account: past_due}}
"""
REFUSED = "policies not reloaded, the last good ones stay in force"
pytestmark = pytest.mark.timeout(600)


async def test_a_bad_file_keeps_the_last_good_one_in_force_and_is_complained_about_once(ground: Ground) -> None:
    first, during, after = Invoice("first"), Invoice("during"), Invoice("after")
    async with alone("retry_scheduler", ground, {"mine": POLICY.format(version=1, after="5s")}) as one:
        file = one.policy_dir / "mine.yaml"
        await one.world.fails(first)
        await one.seen.stage(first.account_id, "retry", "scheduled")
        file.write_text(POLICY.format(version=2, after="1h").replace("after:", "aftr:"))
        complaint = (await eventually(lambda: one.service.facts(REFUSED), "a complaint"))[0]
        await one.world.fails(during)
        await one.seen.request(during.account_id, 2)  # five seconds later, so the file was looked at again since
        file.write_text(POLICY.format(version=2, after="1h"))
        await eventually(
            lambda: [line for line in in_force(one.service.said()) if "mine v2" in line], "the new version"
        )
        await one.world.fails(after)
        await one.seen.stage(after.account_id, "retry", "scheduled")
        complaints = one.service.facts(REFUSED)
        versions = [one.seen.of(invoice.account_id)[0].data["policy"]["version"] for invoice in (first, during, after)]

    assert versions == [1, 1, 2]
    assert len(complaints) == 1
    assert complaint["level"] == "error"
    assert re.search(r'mine\.yaml:6:\d+: retries\.aftr: .*did you mean "after"\? \[DUN-P', complaint["message"])


async def test_a_file_that_changed_under_the_same_version_is_refused_at_the_start(ground: Ground) -> None:
    async with alone("account_enforcement", ground, {"mine": POLICY.format(version=1, after="5s")}) as one:
        assert await one.service.stop() == 0
        (one.policy_dir / "mine.yaml").write_text(POLICY.format(version=1, after="6s"))
        exit_code = await one.service.run_to_its_end()
        last_line = one.service.said()[-1]
        (one.policy_dir / "mine.yaml").write_text(POLICY.format(version=2, after="6s"))
        await one.service.start()

    assert exit_code == 1
    assert re.search(r"/mine\.yaml: policy mine version 1 changed: give .* a new version  \[DUN-R020\]$", last_line)


def in_force(lines: list[str]) -> list[str]:
    """What the service said of the policies that it uses."""
    return [line for line in lines if "policies in force" in line]
