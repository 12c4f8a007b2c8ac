"""Policy files to policies: one by one, then what must hold between them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from dunning.domain.events import PolicyRef
from dunning.domain.policy import Match, Policies, Policy
from dunning.domain.policy_file.document import read_policy
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.problems import Code, Place, Problem, Report, Severity
from dunning.domain.policy_file.tree import FILE_BYTES_MAX, UnreadableError, read_tree

SHIPPED_TEMPLATES = frozenset(
    {
        "payment_failed",
        "gentle_reminder",
        "formal_notice",
        "suspension_warning",
        "suspended",
        "final_notice",
        "terminated",
    }
)
_START = Place(1, 1)


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """One file: its policy, if it has no errors, and everything there is to say about it."""

    policy: Policy | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class LoadedPolicies:
    """Several files: the policies without errors, and the problems of all files in the order of the files."""

    policies: Policies
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those problems for which a service must not start with these files."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def load_policy(content: str | bytes, name: str, *, templates: Collection[str] = SHIPPED_TEMPLATES) -> LoadedPolicy:
    """Reads one policy file. Never raises: whatever is wrong is a problem that names its place.

    `name` is the file's name in messages; `templates` are those that notices may use.
    """
    report = Report(name)
    text = _decoded(content, report)
    policy = None
    if text is not None:
        try:
            tree = read_tree(text)
        except UnreadableError as error:
            report.error(error.code, error.place, "", error.message)
        else:
            policy = read_policy(Field("", tree, report, tree.place), templates)
    return LoadedPolicy(policy, report.problems)


def load_policies(
    files: Iterable[tuple[str, str | bytes]], *, templates: Collection[str] = SHIPPED_TEMPLATES
) -> LoadedPolicies:
    """Reads (name, content) pairs that are used together."""
    names: list[str] = []
    problems: list[Problem] = []
    kept: dict[PolicyRef, Policy] = {}
    for name, content in files:
        loaded = load_policy(content, name, templates=templates)
        names.append(name)
        problems.extend(loaded.problems)
        policy = loaded.policy
        if policy and kept.setdefault(policy.ref, policy).digest != policy.digest:
            problems.append(_changed_version(policy, kept[policy.ref]))
    policies = Policies(kept)
    problems.extend(_never_chosen(tuple(policies)))
    order = {name: number for number, name in reversed(list(enumerate(names)))}
    problems.sort(key=lambda problem: order[problem.file])
    return LoadedPolicies(policies, tuple(problems))


def _decoded(content: str | bytes, report: Report) -> str | None:
    size = len(content) if isinstance(content, bytes) else len(content.encode(errors="surrogatepass"))
    if size > FILE_BYTES_MAX:
        report.error(Code.TOO_LARGE, _START, "", f"{size} bytes; a policy file has at most {FILE_BYTES_MAX}")
        return None
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_start = content.rfind(b"\n", 0, error.start) + 1
        place = Place(content.count(b"\n", 0, error.start) + 1, error.start - line_start + 1)
        report.error(Code.NOT_YAML, place, "", "not UTF-8; save the file in this encoding")
        return None


def _changed_version(policy: Policy, other: Policy) -> Problem:
    message = (
        f"{policy.id} version {policy.version} is in {other.source} already and means something else; "
        "give this one a new version"
    )
    return Problem(policy.source, _START.line, _START.column, "version", message, Code.VERSION_CHANGED)


def _never_chosen(in_order: Sequence[Policy]) -> Iterable[Problem]:
    """A policy behind one that takes all its failures waits for nothing."""
    for number, policy in enumerate(in_order):
        before = next((earlier for earlier in in_order[:number] if _covers(earlier.match, policy.match)), None)
        if before:
            message = (
                f"never chosen: {before.id} ({before.source}) is tried before it and matches all that this one does; "
                "give this one a lower `priority`"
            )
            yield Problem(policy.source, 1, 1, "match", message, Code.NEVER_REACHED, Severity.WARNING)


def _covers(wide: Match, narrow: Match) -> bool:
    """Whether every failure that `narrow` accepts is accepted by `wide` too."""
    return (
        _covers_set(wide.segments, narrow.segments)
        and _covers_set(wide.countries, narrow.countries)
        and _covers_set(wide.currencies, narrow.currencies)
        and _covers_set(wide.payment_types, narrow.payment_types)
        and (
            not wide.min_amount
            or (
                bool(narrow.min_amount)
                and all(wide.min_amount.get(code, 2**63) <= amount for code, amount in narrow.min_amount.items())
            )
        )
    )


def _covers_set(wide: frozenset[str], narrow: frozenset[str]) -> bool:
    return not wide or (bool(narrow) and narrow <= wide)
