"""The schema as Markdown: one table per section."""

from collections.abc import Iterator

from src.schema.json_schema import full_schema, references, resolve


def tables() -> str:
    """Return a table for every section: key, type with range, default, meaning."""
    schema = full_schema()
    lines = ["## Sections", "", *_table(schema, schema), *_below(schema, schema, path="", level=2)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _below(schema: dict, section: dict, path: str, level: int) -> Iterator[str]:
    """Headings and tables of all sections in ``section``, depth first."""
    lists = set()
    for key, value in section["properties"].items():
        where, in_list = f"{path}{key}", "items" in value
        members = tuple(references(value["items"] if in_list else value))
        if not members or members in lists:  # the entries of both lists of transforms are the same
            continue
        if in_list:
            lists.add(members)
        by_name = len(members) > 1
        if by_name:
            entries = "an entry is" if in_list else "it is"
            yield from (f"{'#' * level} `{where}`", "", f"{value['description']} By `name` {entries} one of these.", "")
        for reference in members:
            member = resolve(schema, reference)
            if by_name:
                yield f"{'#' * (level + 1)} `{where}`: {', '.join(_names(member))}"
            else:
                yield f"{'#' * level} `{where}`"
            yield from ("", member["description"], "", *_table(schema, member, hidden=("name",) if by_name else ()))
            yield from _below(schema, member, f"{where}.", level + 1 + by_name)


def _table(schema: dict, section: dict, hidden: tuple[str, ...] = ()) -> Iterator[str]:
    rows = {key: value for key, value in section["properties"].items() if key not in hidden}
    if not rows:
        return
    yield from ("| key | type | default | meaning |", "|---|---|---|---|")
    for key, value in rows.items():
        default = "required" if key in section.get("required", ()) else _default(schema, value)
        yield f"| `{key}` | {type_text(value)} | {default} | {value['description']} |"
    yield ""


def type_text(value: dict) -> str:
    """A type in words, for example ``integer ≥ 1`` or ``number in [0, 1)``."""
    choices = list(_choices(value))
    if len(choices) == 1:
        return choices[0]
    if "enum" in value:
        return f"one of {', '.join(choices)}"
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _choices(value: dict) -> Iterator[str]:
    """The alternatives of a type, in words."""
    several = value.get("anyOf") or value.get("oneOf")
    kind = value.get("type")
    if several and all("$ref" in one for one in several):
        yield "section, by `name`"
    elif several:
        for one in several:
            yield from _choices(one)
    elif "$ref" in value:
        yield "section"
    elif "enum" in value or "const" in value:
        for one in value.get("enum", [value.get("const")]):
            yield f"`{_yaml(one)}`"
    elif kind == "array" and "title" in value:
        yield f"{value['title']}, {_plural(type_text(value['items']))}"
    elif kind == "array":
        yield f"{'non-empty ' if value.get('minItems') else ''}list of {_plural(type_text(value['items']))}"
    elif kind == "boolean":
        yield from ("`true`", "`false`")
    elif kind in ("integer", "number"):
        yield f"{kind}{_range(value)}"
    else:
        yield "`null`" if kind == "null" else "text"


def _range(value: dict) -> str:
    low, high = (value.get(key, value.get(f"exclusive{key.capitalize()}")) for key in ("minimum", "maximum"))
    low_open, high_open = "exclusiveMinimum" in value, "exclusiveMaximum" in value
    if low is not None and high is not None:
        return f" in {'(' if low_open else '['}{_number(low)}, {_number(high)}{')' if high_open else ']'}"
    if low is not None:
        return f" {'>' if low_open else '≥'} {_number(low)}"
    return "" if high is None else f" {'<' if high_open else '≤'} {_number(high)}"


def _plural(text: str) -> str:
    """Of the first word: ``integers ≥ 1``."""
    word = text.split(" ")[0].split(",")[0]
    return text.replace(word, f"{word}s", 1)


def _names(member: dict) -> list[str]:
    name = member["properties"]["name"]
    return [f"`{one}`" for one in name.get("enum", [name.get("const")])]


def _default(schema: dict, value: dict) -> str:
    default = value["default"]
    if isinstance(default, dict):
        return "see below"
    if "items" in value and "oneOf" in value["items"]:
        default = [_shortened(schema, value["items"], entry) for entry in default]
    return f"`{_yaml(default)}`"


def _shortened(schema: dict, union: dict, entry: dict) -> dict:
    """``entry`` without what are its section's own defaults."""
    member = resolve(schema, union["discriminator"]["mapping"][entry["name"]])
    return {k: v for k, v in entry.items() if k == "name" or v != member["properties"][k]["default"]}


def _yaml(value: object) -> str:
    """A value as a config file writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(one)}' for key, one in value.items())}}}"
    return repr(value).replace("e-0", "e-") if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return str(int(value) if value == int(value) else value)
