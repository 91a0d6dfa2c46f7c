"""Files and values that strangers wrote: read them, check them, and say in plain words what is wrong."""

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element  # only the type; defusedxml reads

import numpy as np
from defusedxml import DefusedXmlException, ElementTree

from src.errors import UserError

FARTHEST = 1e6  # coordinates beyond it are damage, not drawing


def read_json(path: Path) -> dict:
    """Read a JSON file that holds an object.

    Raises:
        UserError: missing, not JSON, or something else than an object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: {_reason(error, 'JSON')}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, found {_kind(values)}")
    return values


def read_xml(path: Path) -> Element:
    """Read an XML file and return its root.

    Raises:
        UserError: missing, not XML, or with entities or a document type, which could fill the memory.
    """
    try:
        return ElementTree.parse(path, forbid_dtd=True).getroot()
    except DefusedXmlException:
        raise UserError(f"{path}: declares a document type or entities; labeling tools write neither") from None
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{path}: {_reason(error, 'XML')}") from None


def visible_files(folder: Path, suffix: str) -> list[Path]:
    """All files below a folder that end in ``suffix``, sorted; without hidden ones, which archives of macOS add."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == suffix and path.is_file())
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def find_file(path: Path, suffix: str, format_name: str) -> Path:
    """Return ``path``, or the only file below the folder ``path`` that ends in ``suffix``.

    Raises:
        UserError: no such file, or several.
    """
    if path.is_file():
        return path
    found = visible_files(path, suffix) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"--labels {path}: expected the {suffix} file of a {format_name} export, found none")
    names = ", ".join(str(file.relative_to(path)) for file in found[:3])
    raise UserError(f"--labels {path}: {len(found)} {suffix} files ({names}, ...); name one of them")


def take(values: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """Return ``values[key]``, which has to be there and of the given kind.

    Raises:
        UserError: ``values`` is no object, the key is missing, or the value is of another kind.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected an object with '{key}', found {_kind(values)}")
    if key not in values:
        raise UserError(f"{where}: '{key}' is missing")
    value = values[key]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{where}: {key}: expected {_kind(kind)}, found {_short(value)}")
    return value


def numbers(values: Any, where: str, count: int | None = None) -> np.ndarray:
    """Return finite numbers of a sensible size as float [N].

    Raises:
        UserError: something else is among them, or there are not ``count``.
    """
    try:
        result = np.asarray(values, np.float64).ravel()
    except (ValueError, TypeError, OverflowError):
        raise UserError(f"{where}: expected coordinates, found {_short(values)}") from None
    if count is not None and len(result) != count:
        raise UserError(f"{where}: expected {count} coordinates, found {len(result)}")
    if not (np.abs(result) <= FARTHEST).all():  # also false for what is not a number
        raise UserError(f"{where}: a coordinate is not finite or beyond {FARTHEST:.0e} pixels")
    return result


def ring(values: Any, where: str) -> np.ndarray:
    """Return the corners of a polygon, float [N, 2], from pairs or from a flat list x, y, x, y, ...

    Raises:
        UserError: fewer than 3 points, half a point, or values that are no coordinates.
    """
    flat = numbers(values, where)
    if len(flat) % 2:
        raise UserError(f"{where}: {len(flat)} coordinates are not pairs of x and y")
    if len(flat) < 6:
        raise UserError(f"{where}: a polygon of {len(flat) // 2} points; it needs 3, so delete or redraw it")
    return flat.reshape(-1, 2)


def _reason(error: Exception, kind: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "not found"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"not a {kind} file ({error})" if kind == "JSON" else f"not an {kind} file ({error})"


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true/false",
    }
    if isinstance(value, tuple):
        return " or ".join(_kind(part) for part in value)
    return names.get(value if isinstance(value, type) else type(value), "nothing")


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."
