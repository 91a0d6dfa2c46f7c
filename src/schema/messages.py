"""Errors of validation in the user's words: which key, what was found, what was expected, the nearest valid name."""

from collections.abc import Callable
from typing import Any, get_args

from pydantic import ValidationError

from src.errors import did_you_mean
from src.schema.base import Section


def explain(error: ValidationError, root: Any, where: Callable[[list[str]], str]) -> str:
    """Say for each error which key is wrong, where it was given, what was found and what was expected.

    Args:
        root: the section or union of sections that was validated.
        where: gives for a key, as a list of its parts, the place to name: a file or a function.
    """
    lines = []
    for item in error.errors():
        key, sections = _locate(item["loc"], root)
        place, kind, context = where(key), item["type"], item.get("ctx", {})
        if kind == "extra_forbidden":
            valid = [name for section in sections for name in section.model_fields]
            hint = did_you_mean(key[-1], valid)
            lines.append(f"{place}: unknown key '{_dotted(key)}'{hint} (valid: {', '.join(valid)})")
        elif kind == "missing":
            lines.append(f"{place}: key '{_dotted(key)}' is missing")
        elif kind == "union_tag_not_found":
            names = ", ".join(_names(sections))
            lines.append(f"{place}: key '{_dotted([*key, 'name'])}' is missing (valid: {names})")
        elif kind == "union_tag_invalid":
            tags, found = _names(sections), context["tag"]
            hint = did_you_mean(found, tags)
            lines.append(f"{place}: {_dotted([*key, 'name'])}: unknown '{found}'{hint} (valid: {', '.join(tags)})")
        else:
            expected = item["msg"].removeprefix("Value error, ")
            found = "" if isinstance(item["input"], dict) else f", found {item['input']!r}"
            head = f"{place}: {_dotted(key)}" if key else place
            lines.append(f"{head}: {expected[0].lower() + expected[1:]}{found}")
    return "\n       ".join(lines)


def _dotted(key: list[str]) -> str:
    return ".".join(key).replace(".[", "[")


def _locate(location: tuple, root: Any) -> tuple[list[str], list[type[Section]]]:
    """Turn pydantic's location into the user's key path, and give the sections that its last part may be in.

    Pydantic puts the ``name`` of a union's member into the location; a user does not see that as a key.
    """
    key: list[str] = []
    sections = _sections(root)
    for part in location:
        if isinstance(part, int):
            key.append(f"[{part}]")
            continue
        if len(sections) > 1:
            sections = [section for section in sections if part in _names([section])]
            continue
        key.append(part)
        fields = [section.model_fields[part] for section in sections if part in section.model_fields]
        sections = _sections(fields[0].annotation) or sections if fields else sections
    return key, sections


def _sections(annotation: Any) -> list[type[Section]]:
    """All sections that appear in a type annotation, for example those of ``A | B | None``."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for argument in get_args(annotation) for section in _sections(argument)]


def _names(sections: list[type[Section]]) -> list[str]:
    fields = [section.model_fields["name"] for section in sections if "name" in section.model_fields]
    return [name for field in fields for name in get_args(field.annotation)]
