"""Lets workers join over a network on which a connection takes longer than MindSpore waits for it, which is 30 ms.

A library of one function, loaded before MindSpore, lets every connection take up to ten seconds. It is compiled once
for each user and kept in the cache folder.
"""

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from src.errors import UserError
from src.files import cache_folder, sha256

SOURCE = Path(__file__).with_name("patient_connect.c")


def library() -> Path:
    """Return the compiled library.

    Raises:
        UserError: there is no compiler, or it failed.
    """
    folder = cache_folder("launch")
    target = folder / f"{SOURCE.stem}-{sha256(SOURCE)[:16]}-{platform.machine()}.so"
    if target.is_file():
        return target
    names = [name for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name]
    compiler = next(filter(shutil.which, names), None)
    if compiler is None:
        raise UserError(f"--slow-network needs a C compiler, found none of {', '.join(names)}; install gcc or set CC")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:  # several launchers may do this at once
            new = Path(scratch) / target.name
            command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(new), str(SOURCE)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[0]
                raise UserError(
                    f"--slow-network: {compiler} cannot compile {SOURCE}: {said}; set CC to another compiler"
                )
            new.replace(target)
    except OSError as error:
        raise UserError(
            f"--slow-network: {error.filename or folder}: {error.strerror or error}; set XDG_CACHE_HOME to a folder "
            "that can be written"
        ) from None
    return target


def preload(found: Path) -> str:
    """The value of LD_PRELOAD that puts a library before what the user has there."""
    return ":".join(filter(None, (str(found), os.environ.get("LD_PRELOAD"))))
