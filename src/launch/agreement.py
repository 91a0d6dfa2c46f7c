"""What the hosts of a job must have in common, and how they tell a difference."""

import hashlib
import json
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from src.config import flat_keys
from src.data.records import contents
from src.files import sha256
from src.launch.cluster import Cluster
from src.launch.job import ROOT
from src.schema import Config

# Where things lie may differ from host to host; what lies there is compared by its contents.
OWN: tuple[str, ...] = ("data.root", "data.records", "data.classes", "data.workers", "device.target")
OWN += ("model.weights", "model.backbone.weights", "model.decoder.weights")

COMMIT = " (commit "

Facts = dict[str, str]


def facts(config: Config, place: Cluster, restarts: int, slow_network: bool = False) -> Facts:
    """Everything to compare, by name."""
    return {
        "NUM_WORKERS": str(place.workers),
        "NUM_NODES": str(place.nodes),
        "--restarts": str(restarts),
        "--slow-network": "given" if slow_network else "not given",
        "MindSpore": _version("mindspore"),
        "the program": source(ROOT),
        "the records": records(Path(config.data.records)),
        **{key: json.dumps(value) for key, value in flat_keys(config).items() if key not in OWN},
    }


def difference(here: Facts, there: dict[str, Any], this: str, other: str) -> str | None:
    """Name what differs between two hosts, with both values; None if nothing does."""
    names = [*here, *(name for name in there if name not in here)]
    lines = [
        f"  {name}: {here.get(name, 'not given')} on {this}, {there.get(name, 'not given')} on {other}"
        for name in names
        if _compared(here.get(name)) != _compared(there.get(name))
    ]
    if not lines:
        return None
    shown = lines[:10] + ([f"  ... and {len(lines) - 10} more"] if len(lines) > 10 else [])
    return f"{this} and {other} were started with different things:\n" + "\n".join(shown)


def source(root: Path) -> str:
    """A checksum of the program's files as they are, and for the reader the commit if there is one."""
    digest = hashlib.sha256()
    files = (path for path in (root / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in [root / "train.py", *sorted(files)]:
        digest.update(f"{path.relative_to(root).as_posix()}|{sha256(path)}|".encode())
    return f"checksum {digest.hexdigest()[:16]}{_commit(root)}"


def _commit(root: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return f"{COMMIT}{done.stdout.strip()[:10]})" if done.returncode == 0 else ""


def _compared(value: Any) -> Any:
    """A fact without the commit: the same files may lie in a clone and in a plain folder."""
    return value.partition(COMMIT)[0] if isinstance(value, str) else value


def records(folder: Path) -> str:
    """A checksum of the records' contents, or ``none yet``."""
    try:
        return f"checksum {contents(folder)[:16]}"
    except FileNotFoundError:
        return "none yet"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "damaged"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
