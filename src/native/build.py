"""Compiling the native kernels, once for each machine and user.

The result lies in the user's cache folder under a key made of all that it depends on: sources, compiler, processor and
MindSpore. Beside it lies a copy of the oneDNN that MindSpore brings along. Loaded as a library of its own, it may use
all instructions of the processor, while MindSpore's stays limited (src/onednn.py).
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import mindspore as ms

from src.files import cache_folder

SOURCES = Path(__file__).with_name("source")
KERNELS, ONEDNN = "kernels.so", "onednn.so"
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math")
KEPT = 3  # results of former versions that stay in the cache


class BuildError(Exception):
    """The kernels cannot be compiled here; the message says why in one line."""


def ensure(tell: Callable[[str], None]) -> Path:
    """Return the folder with ``kernels.so`` and ``onednn.so`` for this machine, after compiling them if need be.

    Several processes may call this at once: one compiles, the others wait for it.

    Args:
        tell: is given a line of text when something is compiled.

    Raises:
        BuildError: there is no compiler or no oneDNN, or compiling failed.
    """
    command, version = compiler()
    onednn = _onednn()
    folder = cache_folder("kernels") / _key(version, onednn)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / "lock"):
            if not folder.is_dir():
                _compile_into(folder, command, onednn, tell)
    except OSError as error:
        raise BuildError(f"{error.filename or folder}: {error.strerror or error}") from None
    return folder


def compiler() -> tuple[str, str]:
    """Command of the C++ compiler and what it says about its version.

    Raises:
        BuildError: there is none.
    """
    for command in filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++")):
        if shutil.which(command):
            answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
            if answer.returncode == 0:
                return command, answer.stdout
    raise BuildError("no C++ compiler found (install g++ or set CXX)")


def _onednn() -> Path:
    for library in sorted((Path(ms.__path__[0]) / "lib").glob("libdnnl.so*")):
        return library
    raise BuildError("this MindSpore brings no oneDNN library")


def _sources() -> Iterator[Path]:
    yield from sorted(SOURCES.glob("*.h"))
    yield from sorted(SOURCES.glob("*.cpp"))


def _key(compiler_version: str, onednn: Path) -> str:
    facts = hashlib.sha256()
    for source in _sources():
        facts.update(source.name.encode() + b"\0" + source.read_bytes())
    for fact in (FLAGS, compiler_version, _processor(), ms.__version__, onednn.stat().st_size):
        facts.update(repr(fact).encode())
    return facts.hexdigest()[:20]


def _processor() -> str:
    """Model and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile_into(folder: Path, compiler: str, onednn: Path, tell: Callable[[str], None]) -> None:
    """Compile in a folder of its own and rename it when it is complete."""
    tell("native kernels: compiling them for this machine, which happens once")
    start = time.perf_counter()
    scratch = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        _run_compiler(compiler, scratch)
        shutil.copyfile(onednn, scratch / ONEDNN)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    tell(f"native kernels: compiled in {time.perf_counter() - start:.0f} s")
    _drop_old(folder)


def _run_compiler(compiler: str, scratch: Path) -> None:
    objects, running = [], []
    for source in _sources():
        if source.suffix == ".cpp":
            objects.append(str(scratch / f"{source.stem}.o"))
            command = [compiler, *FLAGS, "-c", str(source), "-o", objects[-1]]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    outputs = [(process.communicate()[0], process.returncode) for process in running]
    link = [compiler, *FLAGS, "-shared", *objects, "-o", str(scratch / KERNELS), "-ldl", "-lpthread"]
    if all(status == 0 for _, status in outputs):
        answer = subprocess.run(link, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        outputs.append((answer.stdout, answer.returncode))
    for text, status in outputs:
        if status:
            errors = (
                [line for line in text.splitlines() if "error" in line] or text.splitlines() or [f"status {status}"]
            )
            raise BuildError(f"{compiler}: {errors[0]}")
    for name in objects:
        Path(name).unlink()


def _drop_old(folder: Path) -> None:
    """Leave the newest results of former versions; another installation may use them."""
    others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    for path in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def main() -> None:
    """Compile the kernels ahead of their first use."""
    try:
        print(ensure(print))
    except BuildError as error:
        print(f"error: native kernels: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
