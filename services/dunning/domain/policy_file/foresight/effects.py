"""Rungs and keys that change nothing: they are never heard of, or the policy never comes to them (rules 13, 23, 26)."""

from dunning.domain.policy import Policy
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight.ground import has, locate
from dunning.domain.policy_file.problems import Code
from dunning.domain.words import AccountStage

_OF_OPEN_CASES = ("anchor", "retries", "ladder", "roll", "conditions", "contact", "timezone", "fallback_timezone")
_UNREACHABLE_STAGES = (AccountStage.SUSPENDED, AccountStage.TERMINATED)


def foresee_effects(policy: Policy, root: Field) -> None:
    """What has no effect as written."""
    _foresee_ignored(policy, root)
    _foresee_superseded(policy, root)
    _foresee_repeated_past_due(policy, root)
    _foresee_unreachable(policy, root)


def _foresee_ignored(policy: Policy, root: Field) -> None:
    for key in _OF_OPEN_CASES if policy.ignore else ():
        if has(root, key):
            locate(root, key).warn(
                Code.NO_EFFECT, "has no effect beside `ignore: true`, which opens no case; remove it"
            )


def _foresee_superseded(policy: Policy, root: Field) -> None:
    """Of plain notices that fall due at once only the last goes out (rule 23)."""
    for number, rung in enumerate(policy.ladder):
        if rung.notice is None or policy.is_warning(rung):
            continue
        for later in policy.ladder[number + 1 :]:
            if later.restricts or later.at.nominal_seconds > rung.at.nominal_seconds:
                break
            if later.notice is not None:
                locate(root, "ladder", number, "notice").warn(
                    Code.ALWAYS_SUPERSEDED,
                    f'never goes out: "{later.name}" is due at the same time ({later.at}) and supersedes it; give the '
                    "two different times, or one notice more channels",
                )
                break


def _foresee_repeated_past_due(policy: Policy, root: Field) -> None:
    """`past_due` of an account that is `past_due` is no step (decisions/0003)."""
    before = False
    for number, rung in enumerate(policy.ladder):
        if before and rung.account is AccountStage.PAST_DUE:
            field = locate(root, "ladder", number, "account")
            field.warn(Code.NO_EFFECT, "the account is past_due since an earlier rung; remove it")
        before = before or rung.account is AccountStage.PAST_DUE


def _foresee_unreachable(policy: Policy, root: Field) -> None:
    for number, rung in enumerate(policy.ladder):
        if has(root, "ladder", number, "unreachable") and rung.account not in _UNREACHABLE_STAGES:
            field = locate(root, "ladder", number, "unreachable")
            field.refuse(
                Code.NO_EFFECT, f"has no effect on a rung that leads to {rung.account}; only to suspend or terminate"
            )
