"""Check that this machine can train: versions, device, oneDNN, compiler, native kernels, memory, disk, write access.

    python -m src.tools.doctor
    python -m src.tools.doctor --target Ascend --output /data/runs

Prints a line for each check, with the remedy below it when something is wrong; then the exit status is 1.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from src import onednn
from src.errors import UserError, run_command
from src.files import check_writable

PYTHONS = ((3, 10), (3, 11))
MINDSPORE = "2.10"
PACKAGES = ("opencv-python-headless", "psutil", "pydantic", "pyyaml", "scipy", "pillow", "onnxruntime", "onnx")
OPTIONAL = ("onnxruntime", "onnx")  # for ONNX files alone
SLOW_SETS = ("AVX512", "AVX10", "AMX", "ALL", "DEFAULT")  # beginnings of values for which oneDNN may take AVX-512
MEMORY, DISK = 2.0, 2.0  # GiB that the quickstart needs, with room to spare


@dataclass(frozen=True)
class Finding:
    """Result of a check."""

    name: str
    found: str
    remedy: str | None = None  # what to do; None if nothing is wrong


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Check that this machine can train.")
    parser.add_argument("--target", default="auto", choices=["auto", "CPU", "GPU", "Ascend"], help="device to be used")
    parser.add_argument("--output", type=Path, default=Path("runs"), metavar="DIR", help="of the runs (default: runs)")
    return parser.parse_args()


def installed(package: str) -> str | None:
    """Version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_python(python: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """Whether MindSpore has a wheel for this Python."""
    found = ".".join(map(str, python))
    return Finding("Python", found, None if python[:2] in PYTHONS else "make the environment with Python 3.10 or 3.11")


def check_packages(version_of: Callable[[str], str | None] = installed) -> Iterator[Finding]:
    """Versions of what is imported."""
    install = "pip install -r requirements.txt"
    mindspore, numpy = version_of("mindspore"), version_of("numpy")
    right = mindspore is not None and mindspore.startswith(f"{MINDSPORE}.")
    yield Finding("MindSpore", mindspore or "missing", None if right else f"{install} (expected {MINDSPORE})")
    right = numpy is not None and int(numpy.split(".")[0]) < 2
    yield Finding(
        "NumPy", numpy or "missing", None if right else "pip install 'numpy<2': MindSpore is built against 1.x"
    )
    for package in PACKAGES:
        found = version_of(package)
        if found or package in OPTIONAL:
            yield Finding(package, found or "missing; needed for ONNX files alone")
        else:
            yield Finding(package, "missing", install)


def check_onednn(limit: str, flags: str) -> Finding:
    """Whether oneDNN is kept from its slow AVX-512 kernels.

    Args:
        limit: value of the environment variable; importing src sets it unless the user has.
        flags: of the processor, as in /proc/cpuinfo.
    """
    fine = "avx512" not in flags or not limit.upper().startswith(SLOW_SETS)
    return Finding(
        "oneDNN",
        f"{onednn.VARIABLE}={limit}",
        None if fine else f"unset {onednn.VARIABLE}: convolutions take 100 times as long",
    )


def check_device(target: str) -> Finding:
    """Whether the device can be used, tried on a small product."""
    import mindspore as ms
    from mindspore import ops

    from src import device

    try:
        chosen = device.setup(target, native="off")
        total = ops.matmul(ops.ones((8, 8), ms.float32), ops.ones((8, 8), ms.float32)).sum()
        if float(total.asnumpy()) != 512.0:
            return Finding("device", f"{chosen} computes wrongly", "check driver and firmware (docs/install.md)")
    except (UserError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        return Finding("device", reason, "see docs/install.md for drivers and the build for the device")
    return Finding("device", chosen)


def check_kernels() -> Finding:
    """Whether the native kernels compile, load and compute rightly; without them a CPU trains more slowly."""
    from src import device
    from src.files import cache_folder

    try:
        device.start_native("on")
    except UserError as error:
        return Finding("native kernels", str(error), "install g++, or train without them (slower): device.native=off")
    return Finding("native kernels", f"compiled, in {cache_folder('kernels')}")


def check_room(name: str, free: float, needed: float, remedy: str) -> Finding:
    """Free memory or disk, in GiB."""
    return Finding(name, f"{free:.1f} GiB free", None if free >= needed else f"{remedy} ({needed:g} GiB expected)")


def check_write(folder: Path) -> Finding:
    """Whether files can be made in a folder, or it can be made itself."""
    try:
        check_writable(folder)
    except UserError as error:
        return Finding("write access", str(error), "choose another folder with --output, or change its rights")
    return Finding("write access", str(folder.resolve()))


def findings(target: str, output: Path, limit: str) -> Iterator[Finding]:
    """All checks; those that need the packages only if all of them are right."""
    yield check_python()
    packages = list(check_packages())
    yield from packages
    flags = Path("/proc/cpuinfo")
    yield check_onednn(limit, flags.read_text() if flags.is_file() else "")
    if all(finding.remedy is None for finding in packages):
        yield from check_machine(target)
    existing = next(folder for folder in (output.resolve(), *output.resolve().parents) if folder.exists())
    yield check_room("disk", shutil.disk_usage(existing).free / 2**30, DISK, f"make room in {existing}")
    yield check_write(output)


def check_machine(target: str) -> Iterator[Finding]:
    """Compiler, device, native kernels and memory."""
    import psutil

    from src.native.build import BuildError, compiler

    try:
        yield Finding("compiler", compiler()[1].splitlines()[0])
    except BuildError as error:
        yield Finding("compiler", str(error), "apt-get install g++")
    device = check_device(target)
    yield device
    if device.found == "CPU":
        yield check_kernels()
    yield check_room("memory", psutil.virtual_memory().available / 2**30, MEMORY, "end other programs")


def main() -> None:
    """Check everything, print, and say by the exit status whether all is well."""
    arguments = parse_arguments()
    wrong = 0
    for finding in findings(arguments.target, arguments.output, os.environ[onednn.VARIABLE]):
        print(f"{'ok' if finding.remedy is None else 'WRONG':6} {finding.name}: {finding.found}")
        if finding.remedy:
            wrong += 1
            print(f"       {finding.remedy}")
    print(f"{wrong} thing{'s' * (wrong > 1)} to fix" if wrong else "all is well")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    run_command(main)
