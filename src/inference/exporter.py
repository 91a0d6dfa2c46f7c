"""Export: write the file, load it back, compare it with the checkpoint, then keep it."""

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.errors import UserError
from src.files import write_text
from src.inference.deployed import Deployed, Form, rounded_weights, stored_as
from src.inference.exported import description_file, open_exported, require_onnx
from src.models.layers import backend

SUFFIX = {"MINDIR": ".mindir", "AIR": ".air", "ONNX": ".onnx"}
# The layers' form: AIR and MINDIR hold what is fast on a CPU too; ONNX holds the plain operators, of which there are
# fewer and which its runtimes have their own fast forms of. Native kernels exist on this machine alone.
LAYERS = {"MINDIR": "products", "AIR": "products", "ONNX": "standard"}
TOLERANCE = 1e-4  # largest difference of a logit, relative to the largest logit
TRIED_BATCH = 3  # images in the comparison of a file that takes any number


@dataclass(frozen=True)
class Exported:
    """An exported file that has been compared with its checkpoint."""

    path: Path
    difference: float  # largest absolute difference of a logit; with ids, by how much another class was larger
    largest: float  # largest absolute logit
    equal: float  # share of the pixels with the same class

    def facts(self) -> dict[str, float]:
        """For the description beside the file."""
        return {"largest_difference": self.difference, "largest_logit": self.largest, "equal_pixels": self.equal}


def export(
    network: nn.Cell, file_format: str, shape: tuple[int | None, int, int, int], stem: Path, form: Form | None = None
) -> Exported:
    """Export ``network`` for images of ``shape`` [B, 3, H, W] to ``stem`` plus the format's suffix.

    Args:
        shape: None as the first for a file that takes any number of images, which ONNX alone can be.
        form: what the file takes and gives; normalized fp32 images and logits if left out.

    Raises:
        UserError: the back end cannot write or check this format; the message says what is needed.
        RuntimeError: the exported file's output differs from the network's; nothing is kept then.
    """
    form = form or Form()
    _check_possible(file_format, shape[0] is None)
    target = stem.with_name(stem.name + SUFFIX[file_format])
    image, normalized = _example((shape[0] or TRIED_BATCH, *shape[1:]), form)
    network.set_train(False)
    expected = network(Tensor(normalized)).asnumpy()
    target.parent.mkdir(parents=True, exist_ok=True)
    rounding: AbstractContextManager[list] = rounded_weights(network) if form.half else nullcontext([])
    with tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent) as folder, rounding as weights:
        rounded = network(Tensor(normalized)).asnumpy() if form.half else expected
        written = Path(folder).resolve() / target.name
        with stored_as(weights, ms.float16):
            _write(Deployed(network, form), file_format, image, written, shape[0] is None)
            loadable = _loadable(Deployed(network, form), written, image)
        found = _run(loadable, image)
        difference, largest = _difference(found, rounded, form), float(np.abs(expected).max())
        if not difference <= TOLERANCE * max(1.0, largest):
            raise RuntimeError(
                f"the exported {file_format} differs from the checkpoint by {difference:.3g} "
                f"(largest logit {largest:.3g}); nothing was kept"
            )
        shutil.move(written, target)
    ids = found if form.ids else found.argmax(axis=1)
    equal = float((ids == expected.argmax(axis=1)).mean())
    return Exported(target, _difference(found, expected, form), largest, equal)


def _check_possible(file_format: str, any_batch: bool) -> None:
    if file_format == "AIR" and ms.get_context("device_target") != "Ascend":
        raise UserError(
            f"--format AIR needs an Ascend device and the MindSpore build for it, this is "
            f"{ms.get_context('device_target')}; export MINDIR here, or AIR on an Ascend machine"
        )
    if file_format == "ONNX":
        require_onnx("--format ONNX")
    elif any_batch:
        raise UserError(f"--batch any: {file_format} files have a fixed batch size; give a number, or --format ONNX")


def _example(shape: tuple[int, int, int, int], form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Random images as the file takes them, and as the network takes them."""
    random = np.random.default_rng(0)
    if not form.colors:
        image = random.standard_normal(shape, dtype=np.float32)
        return image, image
    colors = random.integers(0, 256, (shape[0], *shape[2:], 3), np.uint8)
    normalized = (colors - np.array(form.mean)) / np.array(form.std)
    return colors, np.ascontiguousarray(normalized.astype(np.float32).transpose(0, 3, 1, 2))


def _difference(found: np.ndarray, logits: np.ndarray, form: Form) -> float:
    if not form.ids:
        return float(np.abs(found - logits).max())
    chosen = np.take_along_axis(logits, found[:, None].astype(np.int64), axis=1)[:, 0]
    return float((logits.max(axis=1) - chosen).max())


def _write(cell: Deployed, file_format: str, image: np.ndarray, path: Path, any_batch: bool) -> None:
    if file_format != "ONNX":
        _write_graph(cell, file_format, image, path)
        return
    import onnx

    from src.inference.onnx.batch import SIZES
    from src.inference.onnx.convert import convert

    output = "ids" if cell.ids else "logits"
    graphs = []
    for batch in SIZES if any_batch else (len(image),):
        graphs.append(path.with_name(f"{batch}.mindir"))
        _write_graph(cell, file_format, np.repeat(image[:1], batch, axis=0), graphs[-1])
    onnx.save(convert(graphs[0], output, *graphs[1:]), str(path))


def _write_graph(cell: nn.Cell, file_format: str, image: np.ndarray, path: Path) -> None:
    written_as = "AIR" if file_format == "AIR" else "MINDIR"
    try:
        with backend.at_most(LAYERS[file_format]):
            ms.export(cell, Tensor(image), file_name=str(path.with_suffix("")), file_format=written_as)
    except (RuntimeError, ValueError, TypeError) as error:
        if written_as == "MINDIR":
            raise
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise UserError(f"--format AIR: MindSpore cannot write this model ({reason}); use --format MINDIR") from None


def _loadable(cell: nn.Cell, written: Path, image: np.ndarray) -> Path:
    """The file to load back: MindSpore cannot load AIR, so a MINDIR of the same graph stands in for it."""
    if written.suffix != SUFFIX["AIR"]:
        return written
    stand_in = written.with_name("check.mindir")
    _write_graph(cell, "MINDIR", image, stand_in)
    return stand_in


def _run(path: Path, image: np.ndarray) -> np.ndarray:
    """A MINDIR in a fresh process: what this process has compiled must not help it along. ONNX is no part of it."""
    if path.suffix == SUFFIX["ONNX"]:
        return open_exported(path).run(image)
    source, result = path.parent / ".input.npy", path.parent / ".output.npy"
    np.save(source, image)
    command = [sys.executable, "-m", "src.inference.exporter", str(path), str(source), str(result)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the exported file {path.name} does not run:\n{done.stderr.strip()}")
    return np.load(result)


def write_description(path: Path, values: dict) -> Path:
    """Write what a deployer must know (input, normalization, classes) beside the exported file, as JSON."""
    description = description_file(path)
    write_text(description, json.dumps(values, indent=2) + "\n")
    return description


if __name__ == "__main__":
    file, source_file, result_file = map(Path, sys.argv[1:])
    np.save(result_file, open_exported(file).run(np.load(source_file)))
