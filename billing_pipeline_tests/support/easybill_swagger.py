"""EASY Bill's published API description as a judge of requests and answers. Skips the test where it is not at hand.

Swagger 2.0 is turned into JSON Schema: `x-nullable` admits null, a field that is not published is a fault, and in
a request so is one that only EASY Bill sets (`readOnly`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jsonschema
import pytest

_FILE = Path(__file__).parents[3] / "shared" / "reference" / "easybill-rest-1.92.3.swagger.json"
Schema = dict[str, Any]


class Swagger:
    """The description. Paths are given without the API's base path: `/documents/7`."""

    def __init__(self, description: Mapping[str, Any]) -> None:
        self._paths: Mapping[str, Any] = description["paths"]
        self._parameters: Mapping[str, Any] = description["parameters"]
        self._definitions: Mapping[str, Any] = description["definitions"]
        self._validators: dict[tuple[str, bool], Any] = {}

    def response_faults(
        self, method: str, path: str, status: int, content_type: str, body: bytes
    ) -> list[str]:
        """What in an answer is not as published. Only 200, 201 and 204 have a body that is described."""
        operation = self._operation(method, path)
        # 401 and 414 are described in words for the whole API; what is done wrong has no description.
        if str(status) not in operation["responses"]:
            return (
                [] if status in {400, 401, 404, 405, 409, 414, 500} else [f"status {status} is not published"]
            )
        schema = operation["responses"][str(status)].get("schema")
        if status >= 300 or schema is None:
            return []
        kind = operation.get("produces", ["application/json"])[0]
        if content_type != kind:
            return [f"content type {content_type}, published is {kind}"]
        return [] if kind != "application/json" else self._faults(schema, json.loads(body), readable=True)

    def request_faults(self, method: str, path: str, query: str, body: bytes) -> list[str]:
        """What in a request is not as published: its parameters and its body."""
        parameters = [self._parameter(raw) for raw in self._operation(method, path).get("parameters", [])]
        published = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "query"}
        faults = []
        for name, value in parse_qsl(query, keep_blank_values=True):
            parameter = published.get(name.removesuffix("[]"))
            if parameter is None:
                faults.append(f"parameter {name} is not published")
            elif "enum" in parameter and not set(value.split(",")) <= set(parameter["enum"]):
                faults.append(f"parameter {name} cannot be {value}")
            elif parameter["type"] == "integer":
                number = int(value)
                if not parameter.get("minimum", number) <= number <= parameter.get("maximum", number):
                    faults.append(f"parameter {name} cannot be {value}")
        schemas = [parameter["schema"] for parameter in parameters if parameter["in"] == "body"]
        if schemas:
            return faults + self._faults(schemas[0], json.loads(body), readable=False)
        return faults + (["a body is not published"] if body else [])

    def _operation(self, method: str, path: str) -> Mapping[str, Any]:
        for template, operations in self._paths.items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
                found: Mapping[str, Any] = operations[method.lower()]
                return found
        pytest.fail(f"{method} {path} is not published")

    def _parameter(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._parameters[raw["$ref"].rsplit("/", 1)[1]] if "$ref" in raw else raw

    def _faults(self, schema: Mapping[str, Any], value: object, *, readable: bool) -> list[str]:
        key = (json.dumps(schema), readable)
        if key not in self._validators:
            converted = self._converted(schema, readable=readable)
            self._validators[key] = jsonschema.Draft202012Validator(converted)
        return [
            f"{'.'.join(map(str, error.absolute_path)) or 'body'}: {error.message}"
            for error in self._validators[key].iter_errors(value)
        ]

    def _converted(self, schema: Mapping[str, Any], *, readable: bool, whole: bool = True) -> Schema:
        """JSON Schema 2020-12 of a Swagger schema, references resolved; `whole` closes it to further fields."""
        if "$ref" in schema:
            return self._converted(self._definition(schema), readable=readable, whole=whole)
        converted: Schema = {key: schema[key] for key in ("type", "enum", "required") if key in schema}
        converted |= {key: schema[key] for key in ("minimum", "maximum", "uniqueItems") if key in schema}
        if isinstance(schema.get("items"), Mapping):
            converted["items"] = self._converted(schema["items"], readable=readable)
        if "properties" in schema:
            converted["properties"] = {
                name: self._converted(own, readable=readable)
                for name, own in schema["properties"].items()
                if readable or not self._is_read_only(own)
            }
        if "allOf" in schema:
            converted["allOf"] = [
                self._converted(part, readable=readable, whole=False) for part in schema["allOf"]
            ]
        if whole and ("properties" in schema or "allOf" in schema):
            converted["unevaluatedProperties"] = False
        if schema.get("x-nullable"):
            converted["type"] = [schema["type"], "null"]
            if "enum" in schema:
                converted["enum"] = [*schema["enum"], None]
        return converted

    def _definition(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._definitions[schema["$ref"].rsplit("/", 1)[1]]
        return found

    def _is_read_only(self, schema: Mapping[str, Any]) -> bool:
        target = self._definition(schema) if "$ref" in schema else schema
        return bool(target.get("readOnly"))


@cache
def published_api() -> Swagger | None:
    """The description, or None where this checkout has none beside it."""
    return Swagger(json.loads(_FILE.read_text(encoding="utf-8"))) if _FILE.is_file() else None


def require_published_api() -> Swagger:
    """The description; skips the test where this checkout has none beside it."""
    return published_api() or pytest.skip(f"{_FILE.name} is not beside this checkout (../shared/reference)")
