"""Settings of account enforcement's own."""

from pydantic import Field

from dunning.runtime.settings import Settings


class EnforcementSettings(Settings):
    """The kernel's, and how many accounts may be restricted within 24 hours (rule 45)."""

    max_restrictions_per_day: int | None = Field(None, ge=0, le=2**63 - 1)  # what its column holds
