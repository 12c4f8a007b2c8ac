"""Policy files to policies: one by one, then what must hold between them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dunning.domain.events import PolicyRef
from dunning.domain.policy import Policies, Policy
from dunning.domain.policy_file.between import changed_version, never_chosen, overtaken
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


def load_policy(
    content: str | bytes, name: str, *, templates: Collection[str] | None = SHIPPED_TEMPLATES
) -> LoadedPolicy:
    """Reads one policy file. Never raises: whatever is wrong is a problem that names its place.

    `name` is the file's name in messages; `templates` are those that notices may use; None: whatever they are.
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
    files: Iterable[tuple[str, str | bytes]], *, templates: Collection[str] | None = SHIPPED_TEMPLATES
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
            problems.append(changed_version(policy, kept[policy.ref]))
    policies = Policies(kept)
    problems.extend((*overtaken([*kept.values()]), *never_chosen(policies)))
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
