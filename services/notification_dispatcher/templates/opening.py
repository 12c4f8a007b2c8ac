"""The templates as a process opens them: own ones laid over the shipped, or one clear error that names every place."""

from pathlib import Path

from dunning.runtime.problem import TEMPLATES_UNUSABLE, Problem
from notification_dispatcher.templates.checking import broken_templates
from notification_dispatcher.templates.wording import Wording


def checked_wording(own: Path | None) -> Wording:
    """Raises Problem where own templates cannot be used: a service does not start to find out in a customer's mail."""
    if own is None:
        return Wording()
    if not own.is_dir():
        raise Problem(TEMPLATES_UNUSABLE, f"DUNNING_TEMPLATE_DIR: {own} is no directory that can be read")
    wording = Wording(own)
    if broken := broken_templates(wording):
        first, *others = map(str, broken)
        more = f" (and {len(others)} more: `dunning policy lint` lists them)" if others else ""
        raise Problem(TEMPLATES_UNUSABLE, f"{first}{more}")
    return wording
