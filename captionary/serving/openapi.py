"""Parts of OpenAPI documents that FastAPI cannot derive from a route's signature."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

from captionary.serving.problems import MEDIA_TYPE


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a body, with those of its parts in place of references to them."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, Mapping):
            if "$ref" in value:
                return resolved(parts[value["$ref"].rpartition("/")[2]])
            return {name: resolved(each) for name, each in value.items()}
        return [resolved(each) for each in value] if isinstance(value, list) else value

    whole: dict[str, Any] = resolved(schema)
    return whole


def object_schema(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an object that has no properties but these."""
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses other than success."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
