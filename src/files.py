"""Files that appear whole or not at all, logs, output folders that are checked before any long work; the cache."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from src.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Write beside, then rename: a reader finds the old file or the new one, never a part of it.

    A folder that is missing is made.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """The same of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.writing")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file with one of JSON per line; a last one cut off by a kill is skipped.

    A file that is missing has none.
    """
    lines: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines


def read_json(path: Path) -> Any:
    """Return what a file of JSON holds; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def check_writable(path: Path) -> None:
    """Check that the output folder ``path`` can be made and written to; nothing is made yet.

    Raises:
        UserError: a part of the path is a file, or the nearest existing folder is not writable.
    """
    existing = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not existing.is_dir():
        raise UserError(f"--output {path}: {existing} is a file, not a folder; choose another --output")
    if not os.access(existing, os.W_OK):
        raise UserError(f"--output {path}: {existing} is not writable; choose another --output")


def cache_folder(kind: str) -> Path:
    """The user's folder for files of one kind that can be made again, whether it exists or not."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mindspore-segmentation" / kind


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; reads it in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
