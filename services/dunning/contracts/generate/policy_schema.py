"""`schemas/policy.schema.json`: the policy file for editors, from the same keys that the parser reads.

Draft 07, because the language servers of editors know that one best.
"""

import json
from typing import Any

from dunning.domain.policy_file.keys import CAP, POLICY, SECTIONS, VALUES, Section

DIALECT = "http://json-schema.org/draft-07/schema#"
_ABOUT = "When to charge again, what to tell the customer and when, and what the account may still do."


def policy_schema() -> dict[str, Any]:
    """The schema as a value."""
    definitions = {**VALUES, "cap": CAP, **{name: _section(section) for name, section in SECTIONS.items()}}
    head = {"$schema": DIALECT, "title": "Dunning policy", "description": _ABOUT}
    return {**head, **_section(POLICY), "definitions": definitions}


def policy_schema_json() -> str:
    """The schema as text."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


def _section(section: Section) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            # beside `$ref` draft 07 reads nothing else, so the meaning stands around it
            name: {"description": key.meaning, **({"allOf": [key.value]} if "$ref" in key.value else key.value)}
            for name, key in section.keys.items()
        },
        "required": [*section.required],
        "additionalProperties": False,
        **section.between,
    }
