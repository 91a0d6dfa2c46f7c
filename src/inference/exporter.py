"""Export: write the file, load it back in a fresh process, compare it with the checkpoint, then keep it."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.errors import UserError
from src.files import write_text
from src.inference.exported import description_file
from src.models.layers import backend

SUFFIX = {"MINDIR": ".mindir", "AIR": ".air", "ONNX": ".onnx"}
TOLERANCE = 1e-4  # largest difference of a logit, relative to the largest logit


@dataclass(frozen=True)
class Exported:
    """An exported file that has been compared with its checkpoint."""

    path: Path
    difference: float  # largest absolute difference of a logit
    largest: float  # largest absolute logit


def export(network: nn.Cell, file_format: str, shape: tuple[int, int, int, int], stem: Path) -> Exported:
    """Export ``network`` for inputs of ``shape`` [B, 3, H, W] to ``stem`` plus the format's suffix.

    Raises:
        UserError: the back end cannot write or check this format; the message says what is needed.
        RuntimeError: the exported file's output differs from the network's; nothing is kept then.
    """
    _check_possible(file_format)
    target = stem.with_name(stem.name + SUFFIX[file_format])
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    network.set_train(False)
    expected = network(Tensor(image)).asnumpy()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as folder:
        written = Path(folder).resolve() / target.name
        _write(network, file_format, image, written)
        found = _run_in_fresh_process(_loadable(network, written, image), image)
        difference, largest = float(np.abs(found - expected).max()), float(np.abs(expected).max())
        if not difference <= TOLERANCE * max(1.0, largest):
            raise RuntimeError(
                f"the exported {file_format} differs from the checkpoint by {difference:.3g} "
                f"(largest logit {largest:.3g}); nothing was kept"
            )
        shutil.move(written, target)
    return Exported(target, difference, largest)


def _check_possible(file_format: str) -> None:
    if file_format == "AIR" and ms.get_context("device_target") != "Ascend":
        raise UserError(
            f"--format AIR needs an Ascend device and the MindSpore build for it, this is "
            f"{ms.get_context('device_target')}; export MINDIR here, or AIR on an Ascend machine"
        )
    if file_format == "ONNX":
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            raise UserError(
                "--format ONNX is checked with onnxruntime, which is missing: pip install onnxruntime"
            ) from None


def _write(network: nn.Cell, file_format: str, image: np.ndarray, path: Path) -> None:
    try:
        with backend.at_most("products"):  # native kernels exist on this machine alone
            ms.export(network, Tensor(image), file_name=str(path.with_suffix("")), file_format=file_format)
    except (RuntimeError, ValueError, TypeError) as error:
        if file_format == "MINDIR":
            raise
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise UserError(
            f"--format {file_format}: MindSpore's exporter cannot write this model ({reason}); use --format MINDIR"
        ) from None


def _loadable(network: nn.Cell, written: Path, image: np.ndarray) -> Path:
    """The file to load back: MindSpore cannot load AIR, so a MINDIR of the same graph stands in for it."""
    if written.suffix != SUFFIX["AIR"]:
        return written
    stand_in = written.with_name("check.mindir")
    _write(network, "MINDIR", image, stand_in)
    return stand_in


def _run_in_fresh_process(path: Path, image: np.ndarray) -> np.ndarray:
    """What this process has compiled must not help the file along."""
    source, result = path.parent / ".input.npy", path.parent / ".output.npy"
    np.save(source, image)
    command = [sys.executable, "-m", "src.inference.exporter", str(path), str(source), str(result)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the exported file {path.name} does not run:\n{done.stderr.strip()}")
    return np.load(result)


def _load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda image: session.run(None, {name: image})[0]
    cell = nn.GraphCell(ms.load(str(path)))
    return lambda image: cell(Tensor(image)).asnumpy()


def write_description(path: Path, values: dict) -> Path:
    """Write what a deployer must know (input, normalization, classes) beside the exported file, as JSON."""
    description = description_file(path)
    write_text(description, json.dumps(values, indent=2) + "\n")
    return description


if __name__ == "__main__":
    file, source_file, result_file = map(Path, sys.argv[1:])
    np.save(result_file, _load(file)(np.load(source_file)))
