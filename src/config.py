"""Configuration files: loading, layering, overriding.

Precedence: defaults of ``src.schema`` < base layers (at most two) < file < ``--set``. Mappings are merged
key by key and lists are replaced; a section whose ``name`` changes (another decoder, another optimizer)
starts afresh, because the options of the old one mean nothing to the new one.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from src.errors import UserError, did_you_mean
from src.schema import Config
from src.schema.messages import explain

Layer = tuple[str, dict]  # where the values come from, for messages; the values


class _Loader(yaml.SafeLoader):
    """YAML as people write it: ``6e-5`` is a number, and a key that is given twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"key '{twice.pop()}' is given twice, near line {node.start_mark.line + 1}")
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file with its base layers and apply ``--set`` overrides.

    Args:
        path: YAML file; its ``base`` key names one or two files, relative to it, that lie below it.
        overrides: strings ``section.key=value``; the value is read as YAML.

    Raises:
        UserError: a file is missing or not YAML, a key is unknown, a value has the wrong type or range.
    """
    path = Path(path)
    values = read_layer(path)
    layers: list[Layer] = [(str(path), values)]
    bases = values.pop("base", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise UserError(f"{path}: base: expected a file name or a list of file names, found {bases!r}")
    if len(bases) > 2:
        raise UserError(f"{path}: base: {len(bases)} layers; at most two are allowed, so that a reader can follow")
    for base in reversed(bases):
        base_path = path.parent / base
        base_values = read_layer(base_path, wanted_by=path)
        if "base" in base_values:
            raise UserError(f"{base_path}: base: a base layer has no base of its own; name both layers in {path}")
        layers.insert(0, (str(base_path), base_values))
    return _resolve(layers, overrides)


def make_config(values: dict, overrides: Sequence[str] = (), source: str = "config") -> Config:
    """Check the sections of a configuration that is at hand as a dictionary, and apply ``--set`` overrides.

    Args:
        source: where the values come from, for messages.

    Raises:
        UserError: a key is unknown, a value has the wrong type or range.
    """
    return _resolve([(source, values)], overrides)


def _resolve(layers: Sequence[Layer], overrides: Sequence[str]) -> Config:
    """Merge the layers from the lowest to the uppermost, lay the overrides on top, and check the result."""
    layers = [*layers, ("--set", _parse_overrides(overrides))]
    merged: dict = {}
    for _, layer in layers:
        merged = _merge(merged, layer)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise UserError(explain(error, Config, lambda key: _place_of(key, layers))) from None


def dump_config(config: Config) -> str:
    """Return the resolved configuration as YAML; loading it again gives an equal ``Config``."""
    return yaml.dump(config.model_dump(), Dumper=_Dumper, sort_keys=False, width=100)


def flat_keys(config: Config) -> dict[str, Any]:
    """All values of a configuration by their whole keys, such as ``train.batch_size``."""
    return _flatten(config.model_dump())


def _flatten(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}.{key}" if prefix else key)
    return flat


class _Dumper(yaml.SafeDumper):
    """Short lists of numbers on one line, everything else in blocks."""


def _represent_list(dumper: yaml.SafeDumper, values: list) -> yaml.Node:
    flat = not any(isinstance(value, (dict, list)) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flat)


_Dumper.add_representer(list, _represent_list)


def read_layer(path: Path, wanted_by: Path | None = None) -> dict:
    """Read one YAML file as it stands, without its base layers.

    Args:
        wanted_by: the file whose base layer it is, for the message if it is missing.

    Raises:
        UserError: it is missing, or not YAML with sections.
    """
    if not _is_file(path):
        if wanted_by:
            raise UserError(f"{wanted_by}: base: no such file: {path}")
        siblings = [str(p) for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        raise UserError(f"config file not found: {path}{did_you_mean(str(path), siblings)}")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected sections such as data: and model:, found {type(values).__name__}")
    return values


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _parse_overrides(overrides: Iterable[str]) -> dict:
    values: dict = {}
    for override in overrides:
        key, separator, text = override.partition("=")
        parts = key.strip().split(".")
        if not separator or not all(parts):
            raise UserError(f"--set {override}: expected section.key=value, for example train.batch_size=4")
        try:
            value = yaml.load(text, Loader=_Loader)
        except yaml.YAMLError:
            raise UserError(f"--set {override}: '{text}' is not a YAML value") from None
        for part in reversed(parts):
            value = {part: value}
        values = _merge(values, value)
    return values


def _merge(under: dict, over: dict) -> dict:
    """Lay ``over`` on ``under``; see the head of this file for the rule on ``name``."""
    if "name" in over and "name" in under and over["name"] != under["name"]:
        return over
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _place_of(key: list[str], layers: Sequence[Layer]) -> str:
    """The uppermost layer that gives ``key``; the file itself if none does."""
    return next((name for name, layer in reversed(layers) if _has(layer, key)), layers[-2][0])


def _has(layer: dict, key: list[str]) -> bool:
    node: Any = layer
    for part in key:
        if part.startswith("["):
            return True  # lists are given whole
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
