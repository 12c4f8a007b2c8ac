"""What cases pinned can be read whatever the policy files of an instance say (rule 13)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from account_enforcement.service import account_enforcement
from dunning.domain.decision import CannotDecideYet
from dunning.domain.events import PolicyRef
from dunning.domain.policy_file import SHIPPED_TEMPLATES
from dunning.runtime.migrate import migrate
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.postgres import PostgresSettings, PostgresStore
from dunning.runtime.service import Connect
from dunning.runtime.start import FixedStart
from tests.builders import failed

POLICY = """
id: standard
version: {version}
retries: {{strategy: ladder, after: [1d], window: 28d}}
ladder:
  - {{rung: payment_failed, at: {at}, account: past_due}}
"""


@pytest.fixture
async def connect(database_url: str) -> AsyncIterator[Connect]:
    await migrate(database_url, "account_enforcement")
    service = account_enforcement(PolicyShelf(None, SHIPPED_TEMPLATES), FixedStart(None))
    async with PostgresStore.open(PostgresSettings(url=database_url), service) as store:
        yield store.connection


class Instance:
    """The shelf of one instance, with a directory of its own."""

    def __init__(self, folder: Path, connect: Connect) -> None:
        folder.mkdir()
        self.shelf = PolicyShelf(folder, SHIPPED_TEMPLATES)
        self._file = folder / "standard.yaml"
        self._connect = connect

    def says(self, version: int, at: str = "0d", valid_from: str = "") -> "Instance":
        """Its only file holds this version; `valid_from` is a day."""
        begins = f"valid_from: {valid_from}T00:00:00Z\n" if valid_from else ""
        self._file.write_text(POLICY.format(version=version, at=at) + begins)
        return self

    def takes(self, failed_at: str) -> int:
        """Which version a failure of this time would open a case with; 0 for none."""
        policy = self.shelf.in_force().choose(failed(failed_at), None)
        return policy.version if policy else 0

    async def starts(self) -> None:
        await self.shelf.start(self._connect)

    def knows(self) -> list[int]:
        return [version for version in range(1, 9) if self._has(version)]

    def _has(self, version: int) -> bool:
        try:
            return self.shelf.in_force().pinned(PolicyRef("standard", version)).version == version
        except CannotDecideYet:
            return False

    def chooses(self) -> list[int]:
        return [policy.version for policy in self.shelf.in_force()]


async def test_what_others_put_on_file_is_learnt_though_the_own_files_cannot_be_used(
    connect: Connect, tmp_path: Path
) -> None:
    one, two = Instance(tmp_path / "one", connect).says(1), Instance(tmp_path / "two", connect).says(1)
    await one.starts()
    await two.starts()

    two.says(1, at="not a time")
    await two.shelf.refresh()
    one.says(2)
    await one.shelf.refresh()
    await two.shelf.refresh()

    assert (one.knows(), one.chooses()) == ([1, 2], [2])
    assert (two.knows(), two.chooses()) == ([1, 2], [1])


async def test_a_version_that_another_instance_read_otherwise_is_refused_and_theirs_is_learnt(
    connect: Connect, tmp_path: Path
) -> None:
    one, two = Instance(tmp_path / "one", connect).says(1), Instance(tmp_path / "two", connect).says(1)
    await one.starts()
    await two.starts()

    one.says(2)
    await one.shelf.refresh()
    two.says(2, at="1d")
    await two.shelf.refresh()
    assert (two.knows(), two.chooses()) == ([1, 2], [1])

    two.says(3)
    await two.shelf.refresh()
    assert (two.knows(), two.chooses()) == ([1, 2, 3], [3])


async def test_what_is_on_file_in_words_of_a_later_version_keeps_nobody_from_the_rest(
    connect: Connect, tmp_path: Path
) -> None:
    one = Instance(tmp_path / "one", connect).says(1)
    await one.starts()
    async with connect() as connection:
        put = "insert into policies (id, version, digest, body) values ('standard', $1, $2, $3)"
        await connection.execute(put, 2, "two", "a: word: of tomorrow")
        await connection.execute(put, 3, "three", POLICY.format(version=3, at="0d"))

    await one.shelf.refresh()

    assert (one.knows(), one.chooses()) == ([1, 3], [1])


async def test_a_version_whose_file_was_replaced_goes_on_with_failures_before_the_next_is_valid(
    connect: Connect, tmp_path: Path
) -> None:
    one, new = Instance(tmp_path / "one", connect).says(1), Instance(tmp_path / "new", connect)
    await one.starts()

    one.says(2, valid_from="2026-06-01")
    await one.shelf.refresh()
    new.says(2, valid_from="2026-06-01")  # it never saw the file of version 1
    await new.starts()

    for instance in (one, new):
        assert (instance.chooses(), instance.takes("05-31 23:59:59"), instance.takes("06-01 00:00")) == ([1, 2], 1, 2)


async def test_a_version_that_was_taken_back_takes_nothing_though_it_stays_on_file(
    connect: Connect, tmp_path: Path
) -> None:
    one = Instance(tmp_path / "one", connect).says(1)
    await one.starts()
    one.says(2, valid_from="2026-06-01")
    await one.shelf.refresh()

    one.says(1)
    await one.shelf.refresh()

    assert (one.knows(), one.chooses(), one.takes("06-01 00:00")) == ([1, 2], [1], 1)
