"""The commit of the program's files, so that a result can say what made it."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def current_commit(root: Path = ROOT) -> str | None:
    """The commit that is checked out, with ``+`` where files differ from it; None if ``root`` is not a clone."""
    top, _, commit = (_git(root, "rev-parse", "--show-toplevel", "HEAD") or "").partition("\n")
    if not commit or Path(top).resolve() != root.resolve():
        return None
    return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
