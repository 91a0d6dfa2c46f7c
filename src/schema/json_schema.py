"""The schema as JSON schema: in full, for the tables of the documentation, and for an editor.

A file over base layers need not be complete, so an editor must not ask for keys that a base layer may give.
"""

from collections.abc import Iterator
from copy import deepcopy

from pydantic.json_schema import GenerateJsonSchema

from src.schema import Config

_BASE = {
    "description": "One or two YAML files, relative to this one, over which it is laid; the first lies lowest.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": 2}],
}


class _Generator(GenerateJsonSchema):
    """Without titles that repeat a key's name; those of types stay."""

    def field_title_should_be_set(self, schema) -> bool:
        return False


def full_schema() -> dict:
    """The JSON schema of a complete configuration; every key has a ``description``, on one line.

    A key that holds a section has that of the section, the ``name`` that chooses a section too.
    """
    schema = Config.model_json_schema(schema_generator=_Generator)
    sections = [schema, *schema["$defs"].values()]
    for section in sections:
        del section["title"]
        section["description"] = " ".join(section["description"].split())
    for section in sections:
        for key, value in section["properties"].items():
            if "description" not in value:
                (owner,) = (section,) if key == "name" else (resolve(schema, r) for r in references(value))
                value["description"] = owner["description"]
            value["description"] = " ".join(value["description"].split())
    return schema


def editor_schema() -> dict:
    """The JSON schema of a file of ``config``: keys may be left to base layers, and ``base`` names them."""
    schema = deepcopy(full_schema())
    schema["properties"] = {"base": deepcopy(_BASE), **schema["properties"]}
    in_lists = {reference for node in _nodes(schema) for reference in references(node.get("items", {}))}
    for section in (schema, *[s for name, s in schema["$defs"].items() if f"#/$defs/{name}" not in in_lists]):
        section.pop("required", None)
    for node in _nodes(schema):
        if node.pop("discriminator", None):
            node["anyOf"] = node.pop("oneOf")  # without its name a section may fit several
    # Editors know this version best; the keywords in use mean the same in the later ones.
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def references(value: dict) -> Iterator[str]:
    """The sections that a key may hold, as references."""
    if "$ref" in value:
        yield value["$ref"]
    for choice in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from references(choice)


def resolve(schema: dict, reference: str) -> dict:
    """The section behind a reference."""
    return schema["$defs"][reference.removeprefix("#/$defs/")]


def _nodes(value: object) -> Iterator[dict]:
    """All mappings in a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _nodes(one)
