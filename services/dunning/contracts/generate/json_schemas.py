"""JSON Schemas of the events' data, one file per topic and version."""

import json
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from dunning.contracts.signals import KINDS, OtherSignal, SignalData
from dunning.contracts.topics import EVENT_TOPICS, Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SIGNALS_TITLE = "SignalData"


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def json_schemas() -> dict[str, str]:
    """The text of every topic's schema file, by topic."""
    return {topic.name: json.dumps(_with_head(topic), indent=2, ensure_ascii=False) + "\n" for topic in EVENT_TOPICS}


def _with_head(topic: Topic) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": topic.dataschema, **schema_of(topic)}


def schema_of(topic: Topic, ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """The schema of a topic's data, its parts in `$defs`."""
    if topic.data is not None:
        return topic.data.model_json_schema(ref_template=ref_template, schema_generator=_Untitled)
    adapter: TypeAdapter[Any] = TypeAdapter(SignalData | OtherSignal)
    schema = adapter.json_schema(ref_template=ref_template, schema_generator=_Untitled)
    schema["$defs"]["OtherSignal"]["properties"]["kind"]["not"] = {"enum": [*KINDS]}
    choices = schema.pop("anyOf")
    return {"title": _SIGNALS_TITLE, "description": topic.description, "type": "object", "oneOf": choices, **schema}
