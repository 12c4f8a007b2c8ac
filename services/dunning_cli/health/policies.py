"""The policy files in force, as a service would see them at its next start."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dunning.domain.events import PolicyRef
from dunning.domain.policy import Policy
from dunning.domain.policy_file import Severity, load_policies
from dunning.runtime.policy_directory import read_policy_files
from dunning_cli.asking import Connection
from dunning_cli.health.findings import Finding, ok, problem, warning
from dunning_cli.templates import known_templates

POLICIES = "policies"
_ON_FILE = "select id, version, digest from {schema}.policies"
_PROBLEMS_SHOWN_MAX = 5


async def versions_on_file(connection: Connection, services: Sequence[str]) -> dict[PolicyRef, str]:
    """The digests of all versions that were ever in force in these services."""
    return {
        PolicyRef(row["id"], row["version"]): row["digest"]
        for service in services
        for row in await connection.fetch(_ON_FILE.replace("{schema}", service))
    }


def look_at_policies(directory: Path, on_file: Mapping[PolicyRef, str]) -> list[Finding]:
    """The files by themselves, and against the versions that are on file in the database."""
    try:
        files = read_policy_files([directory])
    except OSError as error:
        said = f"cannot read {error.filename}: {(error.strerror or str(error)).lower()}"
        return [problem(POLICIES, said, "set DUNNING_POLICY_DIR to the directory of policy files")]
    if not files:
        do = "set DUNNING_POLICY_DIR to the directory of policy files, or put one there"
        return [problem(POLICIES, f"no policy file (*.yaml, *.yml) in {directory}", do)]
    return judge_policies(directory, files, on_file)


def judge_policies(
    directory: Path, files: Sequence[tuple[str, bytes]], on_file: Mapping[PolicyRef, str]
) -> list[Finding]:
    """What `dunning policy lint` says, in short, and versions that changed since cases could pin them."""
    loaded = load_policies(files, templates=known_templates())
    findings = []
    for found in loaded.problems[:_PROBLEMS_SHOWN_MAX]:
        lint = f"`dunning policy lint {directory}` lists everything"
        is_error = found.severity is Severity.ERROR
        findings.append(problem(POLICIES, str(found), lint) if is_error else warning(POLICIES, str(found), lint))
    findings += [_changed(policy) for policy in loaded.policies if _differs(policy, on_file)]
    names = ", ".join(f"{policy.id} version {policy.version}" for policy in loaded.policies)
    return findings or [ok(POLICIES, f"{names} in {directory}")]


def _differs(policy: Policy, on_file: Mapping[PolicyRef, str]) -> bool:
    return on_file.get(policy.ref, policy.digest) != policy.digest


def _changed(policy: Policy) -> Finding:
    said = f"{policy.source}: {policy.id} version {policy.version} changed since it was in force; no service takes it"
    return problem(POLICIES, said, f"put it back as it was, and give the changed one version {policy.version + 1}")
