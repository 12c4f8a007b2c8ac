"""The ladder of a policy file: its rungs, and what must hold between them.

Rungs are read as drafts first. The checks between rungs work on what each draft does have, so that one slip is one
problem, not a chain of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dunning.domain.calendar import Duration
from dunning.domain.policy import Rung, RungNotice
from dunning.domain.policy_file import fields
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.keys import CHANNELS, MUST_WARN, NOTICE, RESERVED_RUNGS, RUNG, RUNGS_MAX, STAGES
from dunning.domain.policy_file.problems import Code, quoted, suggestion
from dunning.domain.policy_file.tree import Items
from dunning.domain.words import AccountStage, Channel


@dataclass(frozen=True, slots=True)
class _Draft:
    """A rung as far as it could be read."""

    field: Field
    keys: Mapping[str, Field]
    name: str | None
    at: Duration | None
    notice: RungNotice | None
    account: AccountStage | None
    warned_by: str | None
    lead: Duration | None
    unreachable: Duration | None
    collections: bool

    @property
    def has_notice(self) -> bool:
        """Also where the notice itself has a problem, which is reported there."""
        return "notice" in self.keys


def read_ladder(field: Field, templates: Collection[str] | None) -> tuple[Rung, ...]:
    """The rungs in order. What is returned may be used only when nothing was reported."""
    drafts = [_draft(element, templates) for element in fields.elements(field, RUNGS_MAX)]
    _check_names(drafts)
    _check_order(drafts)
    _check_stages(drafts)
    _check_effects(drafts)
    warnings = {number: _warning_of(drafts, number) for number in range(len(drafts))}
    for number, warning in warnings.items():
        _check_lead(drafts[number], warning)
    return tuple(_finished(draft, warnings[number]) for number, draft in enumerate(drafts))


def _draft(field: Field, templates: Collection[str] | None) -> _Draft:
    keys = fields.section(field, RUNG, required=RUNG.required)
    if "fee" in keys:
        fields.money(keys["fee"])
    stage = fields.word(keys["account"], STAGES) if "account" in keys else None
    return _Draft(
        field=field,
        keys=keys,
        name=_rung_name(keys["rung"]) if "rung" in keys else None,
        at=fields.duration(keys["at"]) if "at" in keys else None,
        notice=_notice(keys["notice"], templates) if "notice" in keys else None,
        account=AccountStage(stage) if stage else None,
        warned_by=fields.text(keys["warned_by"], "the name of a rung") if "warned_by" in keys else None,
        lead=fields.duration(keys["lead"]) if "lead" in keys else None,
        unreachable=_unreachable(keys["unreachable"]) if "unreachable" in keys else None,
        collections=bool("collections" in keys and fields.truth(keys["collections"])),
    )


def _rung_name(field: Field) -> str | None:
    name = fields.name(field)
    if name in RESERVED_RUNGS:
        field.refuse(Code.RESERVED_NAME, f'"{name}" is a stage of every notice track; name the rung otherwise')
    return name


def _unreachable(field: Field) -> Duration | None:
    """How long to wait for a customer whom no channel reaches; None, `wait`, means for ever (rule 26)."""
    return None if fields.is_word(field, "wait") else fields.duration(field, positive=True)


def _notice(field: Field, templates: Collection[str] | None) -> RungNotice | None:
    keys = fields.section(field, NOTICE, required=NOTICE.required)
    template = _template(keys["template"], templates) if "template" in keys else None
    channels = fields.distinct(keys["channels"], _channel) if "channels" in keys else ()
    fallback = fields.distinct(keys["fallback"], _channel) if "fallback" in keys else ()
    for channel in set(channels) & set(fallback):
        keys["fallback"].refuse(Code.REPEATED, f"{channel} is in `channels` already; a fallback is another way")
    if "channels" in keys and keys["channels"].node == Items(keys["channels"].node.place, ()):
        keys["channels"].refuse(Code.OUT_OF_BOUNDS, f"an empty list; name at least one of {', '.join(CHANNELS)}")
    return RungNotice(template, channels, fallback) if template else None


def _template(field: Field, templates: Collection[str] | None) -> str | None:
    template = fields.text(field, "the name of a template")
    if template is not None and templates is not None and template not in templates:
        known = f"known: {', '.join(sorted(templates))}"
        field.refuse(
            Code.UNKNOWN_TEMPLATE, f"no template named {quoted(template)}; {suggestion(template, templates, known)}"
        )
    return template


def _channel(field: Field) -> Channel | None:
    channel = fields.word(field, CHANNELS)
    return Channel(channel) if channel else None


def _check_names(drafts: Sequence[_Draft]) -> None:
    first: dict[str, int] = {}
    for number, draft in enumerate(drafts):
        if draft.name is not None and first.setdefault(draft.name, number) != number:
            message = f'ladder[{first[draft.name]}] has the name "{draft.name}" already'
            draft.keys["rung"].refuse(Code.DUPLICATE_RUNG, message)


def _check_order(drafts: Sequence[_Draft]) -> None:
    latest: tuple[int, Duration] | None = None
    for number, draft in enumerate(drafts):
        if draft.at is None:
            continue
        if latest and draft.at.nominal_seconds < latest[1].nominal_seconds:
            message = f"{draft.at} comes before the {latest[1]} of ladder[{latest[0]}]; rungs stand in order of time"
            draft.keys["at"].refuse(Code.OUT_OF_ORDER, message)
        else:
            latest = number, draft.at


def _check_stages(drafts: Sequence[_Draft]) -> None:
    worst: tuple[int, AccountStage] | None = None
    for number, draft in enumerate(drafts):
        if worst and worst[1] is AccountStage.TERMINATED:
            message = f"never reached: ladder[{worst[0]}] terminates, which closes the case"
            draft.field.refuse(Code.NEVER_REACHED, message)
        elif draft.account and worst and draft.account.severity < worst[1].severity:
            message = f"{draft.account} after the {worst[1]} of ladder[{worst[0]}]; only money leads back"
            draft.keys["account"].refuse(Code.STAGE_GOES_DOWN, message)
        elif draft.account:
            worst = number, draft.account


def _check_effects(drafts: Sequence[_Draft]) -> None:
    """Rule 44 in the small: a key that could change nothing is a slip."""
    for draft in drafts:
        if draft.keys and not {"notice", "account"} & draft.keys.keys():
            draft.field.refuse(Code.NO_EFFECT, "does nothing; give the rung a `notice` or an `account` stage")
        for key, needed in (("collections", "account"), ("warned_by", "account"), ("lead", "warned_by")):
            if key in draft.keys and needed not in draft.keys:
                draft.keys[key].refuse(Code.NO_EFFECT, f"has no effect without `{needed}`")
        if "unreachable" in draft.keys and "warned_by" not in draft.keys:
            draft.keys["unreachable"].refuse(Code.NO_EFFECT, "has no effect without `warned_by`")


def _warning_of(drafts: Sequence[_Draft], number: int) -> _Draft | None:
    """The rung that warns of this one, after checking that it does."""
    draft = drafts[number]
    if "warned_by" not in draft.keys:
        if draft.account in MUST_WARN:
            message = f"required, but missing: nobody is {draft.account} without a warning; name an earlier rung"
            path = f"{draft.field.path}.warned_by"
            draft.field.report.error(Code.NOBODY_WARNS, draft.field.node.place, path, message)
        return None
    if draft.warned_by is None:
        return None
    where = draft.keys["warned_by"]
    found = next((other for other in drafts if other.name == draft.warned_by), None)
    if found is None:
        earlier = [other.name for other in drafts[:number] if other.name and other.has_notice]
        otherwise = f"earlier rungs with a notice: {', '.join(earlier)}" if earlier else "no earlier rung has a notice"
        cure = suggestion(draft.warned_by, earlier, otherwise)
        where.refuse(Code.NO_SUCH_RUNG, f"no rung named {quoted(draft.warned_by)}; {cure}")
    elif all(other is not found for other in drafts[:number]):
        where.refuse(Code.WARNED_TOO_LATE, f'"{found.name}" does not come before this rung; a warning does')
    elif not found.has_notice:
        where.refuse(Code.WARNING_SAYS_NOTHING, f'"{found.name}" has no notice, so it warns nobody')
    else:
        return found
    return None


def _check_lead(draft: _Draft, warning: _Draft | None) -> None:
    if warning is None or draft.at is None or warning.at is None:
        return
    most = draft.at.nominal_seconds - warning.at.nominal_seconds
    if draft.lead is not None and draft.lead.nominal_seconds > max(most, 0):
        between = f'"{warning.name}" ({warning.at}) and this rung ({draft.at})'
        message = f"{draft.lead} is longer than the time between {between}"
        draft.keys["lead"].refuse(Code.LEAD_TOO_LONG, message)
    elif most == 0 or (draft.lead is not None and draft.lead.nominal_seconds == 0):
        place = draft.keys["lead" if draft.lead is not None else "warned_by"]
        place.warn(Code.NO_WARNING_TIME, "leaves no time between the warning and this rung")


def _finished(draft: _Draft, warning: _Draft | None) -> Rung:
    lead = draft.lead
    if lead is None and warning and warning.at is not None and draft.at is not None:
        lead = draft.at - warning.at
    return Rung(
        name=draft.name or "",
        at=draft.at or Duration(),
        notice=draft.notice,
        account=draft.account,
        warned_by=draft.warned_by,
        lead=lead,
        unreachable=draft.unreachable,
        collections=draft.collections,
    )
