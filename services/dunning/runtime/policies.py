"""The policies that one service uses: the files of its directory, and every version that a case may have pinned.

New cases take what the files say. A version that was ever in force stays on file in the database, so that a case can
be read for as long as it lives, also after the file is gone, and so that failures dated before the `valid_from` of the
files find the version of their day (rule 13).
"""

import asyncio
from collections.abc import Collection
from pathlib import Path

from dunning.domain.events import PolicyRef
from dunning.domain.policy import Policies, Policy
from dunning.domain.policy_file import Problem as FileProblem
from dunning.domain.policy_file import load_policies, load_policy
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for
from dunning.runtime.policy_directory import read_policy_files
from dunning.runtime.postgres import policies as table
from dunning.runtime.problem import POLICIES_UNUSABLE, Problem
from dunning.runtime.service import Connect
from dunning.runtime.store import StoreUnavailable

REFRESH_SECONDS = 2.0
_log = log_for("policies")


class PolicyShelf:
    """What `decide` asks for policies. A reload that fails leaves the last good ones in force, with one clear error."""

    name = "policies"

    def __init__(self, directory: Path | None, templates: Collection[str]) -> None:
        self._connect: Connect | None = None
        self._directory = directory
        self._templates = templates
        self._policies = Policies({})
        self._known: dict[PolicyRef, Policy] = {}
        self._current: frozenset[PolicyRef] = frozenset()  # what the files say
        self._files: list[tuple[str, bytes]] | None = None
        self._unreadable: dict[PolicyRef, Problem] = {}  # on file, but not in words that we know
        self._complaint = ""

    def in_force(self) -> Policies:
        """The policies at this moment; a reload swaps them as a whole."""
        return self._policies

    @property
    def complaint(self) -> str:
        """Why the files are not in force as they are now; empty when they are."""
        return self._complaint

    def check(self) -> None:
        """What the files alone can tell, before anything is waited for. Raises Problem where they cannot be used."""
        self._checked(self._read())

    async def start(self, connect: Connect) -> None:
        """Read everything once. Raises Problem where the files cannot be used: a service does not start half."""
        self._connect = connect
        await self._load(self._read())
        if not len(self._policies):
            raise Problem(POLICIES_UNUSABLE, f"no policy file (*.yaml, *.yml) in {self._directory}")

    async def run(self, health: Health) -> None:
        """Look again every few seconds, for ever, and tell which take new cases."""
        while True:
            show_policies(self, health)
            await asyncio.sleep(REFRESH_SECONDS)
            await self.refresh()

    async def refresh(self) -> None:
        """Look at the files again, and at versions that other instances put on file. Never raises for a bad file."""
        try:
            try:
                files = self._read()
                if files != self._files:
                    await self._load(files)
            finally:  # cases may have pinned what others put on file, whatever our own files say
                await self._learn()
            self._complaint = ""
        except Problem as problem:
            if str(problem) != self._complaint:  # said once, not every few seconds
                _log.error(
                    "policies not reloaded, the last good ones stay in force", code=problem.code, message=str(problem)
                )
            self._complaint = str(problem)
        except StoreUnavailable as error:
            _log.warning("policies not looked at", reason=str(error))

    def _read(self) -> list[tuple[str, bytes]]:
        if self._directory is None:
            raise Problem(POLICIES_UNUSABLE, "DUNNING_POLICY_DIR is not set: it names the directory of policy files")
        try:
            return read_policy_files([self._directory])
        except OSError as error:
            message = f"cannot read policies in {error.filename}: {error.strerror}"
            raise Problem(POLICIES_UNUSABLE, message) from None

    async def _load(self, files: list[tuple[str, bytes]]) -> None:
        """Put new versions on file, refuse changed ones, and choose among these from now on."""
        assert self._connect is not None, "started"
        policies, bodies = self._checked(files), dict(files)
        async with self._connect() as connection, connection.transaction():
            for policy in policies:
                body = bodies[policy.source].decode()
                try:
                    stored = table.StoredPolicy(policy.id, policy.version, policy.digest, body)
                    await table.save_policy(connection, stored)
                except table.PolicyChanged as error:
                    raise Problem(POLICIES_UNUSABLE, f"{policy.source}: {error}") from None
        current = {policy.ref: policy for policy in policies}
        self._known |= current
        self._current = frozenset(current)
        self._files = files
        await self._learn()
        _log.info("policies in force", policies=[f"{policy.id} v{policy.version}" for policy in self._policies])

    def _checked(self, files: list[tuple[str, bytes]]) -> Policies:
        loaded = load_policies(files, templates=self._templates)
        if loaded.errors:
            raise Problem(POLICIES_UNUSABLE, _listed(loaded.errors))
        return loaded.policies

    async def _learn(self) -> None:
        """Add the versions that only the database knows. Each is read once, for it never changes."""
        assert self._connect is not None, "started"
        async with self._connect() as connection:
            versions = {PolicyRef(*each) for each in await table.policy_versions(connection)}
            new = versions - self._known.keys() - self._unreadable.keys()
            rows = await table.load_policies(connection) if new else []
        for row in rows:
            if (ref := PolicyRef(row.id, row.version)) in new:
                try:
                    self._known[ref] = self._from_file(row)
                except Problem as problem:
                    self._unreadable[ref] = problem
        self._policies = Policies(self._known, self._current)
        if self._unreadable:
            raise next(iter(self._unreadable.values()))

    def _from_file(self, row: table.StoredPolicy) -> Policy:
        """A version from the database. It was checked when it was put there, by code that may since know more words.

        Its templates may be gone since: then its notices fail, and its cases go on.
        """
        loaded = load_policy(row.body, f"{row.id} version {row.version} on file", templates=None)
        if loaded.policy is None:
            raise Problem(POLICIES_UNUSABLE, _listed(loaded.problems))
        return loaded.policy


def show_policies(shelf: PolicyShelf, health: Health) -> None:
    """The service works on with the last good ones, so that a reload which failed is an alarm and no trouble."""
    if shelf.complaint:
        why = shelf.complaint.removesuffix(f"  [{POLICIES_UNUSABLE}]")
        health.alarm(PolicyShelf.name, POLICIES_UNUSABLE, f"the last good policies stay in force: {why}")
    else:
        health.calm(PolicyShelf.name)
    gauge = health.metrics.policies
    gauge.clear()
    for policy in shelf.in_force():
        gauge.labels(policy.id, str(policy.version)).set(1)


def _listed(problems: tuple[FileProblem, ...]) -> str:
    first, *others = map(str, problems)
    return first if not others else f"{first} (and {len(others)} more: `dunning policy lint` lists them)"
