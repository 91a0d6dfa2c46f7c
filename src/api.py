"""The project from Python.

    from src.api import load

    model = load("runs/quickstart")          # a run folder, a .ckpt, an exported .mindir or .onnx
    result = model.predict(rgb)              # uint8 [H, W, 3]
    result.ids, result.probabilities, result.overlay(), result.areas()
    model.explain(rgb).write("pictures")     # ECENet, CPT, C-S Net

    train(config, "runs/mine")               # a dictionary with the sections of a config file, or the file
    evaluate("runs/mine")["mIoU"]

Whatever was imported before works. Some things are settled once and cannot be changed any more: the instruction set of
oneDNN when an operator has run (``src.onednn`` warns), the level of MindSpore's C++ log when it was imported, the
threads of the native kernels when they were loaded. MindSpore's execution mode is that of the caller again after each
call.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src import device
from src.config import load_config, make_config
from src.data.catalog import load_dataset_info
from src.data.transforms import build_transforms
from src.errors import UserError
from src.inference import protocol, runner
from src.inference.opening import find_config, find_weights
from src.report.images import blend, colorize
from src.schema import Config

__all__ = ["Explanation", "Model", "Result", "evaluate", "load", "train"]


@dataclass(frozen=True)
class Result:
    """The segmentation of one image.

    Attributes:
        image: RGB uint8 [H, W, 3], as it was given.
        probabilities: fp32 [K, H, W], 0 to 1; over the classes they sum to 1.
        classes: K names.
        colors: K RGB colors, 0 to 255.
    """

    image: np.ndarray
    probabilities: np.ndarray
    classes: Sequence[str]
    colors: Sequence[Sequence[int]]

    @property
    def ids(self) -> np.ndarray:
        """Index of the most probable class of each pixel, uint8 [H, W]."""
        return self.probabilities.argmax(axis=0).astype(np.uint8)

    def colored(self) -> np.ndarray:
        """The classes in their colors, RGB uint8 [H, W, 3]."""
        return colorize(self.ids, self.colors)

    def overlay(self, opacity: float = 0.5) -> np.ndarray:
        """The colors of the classes over the image, RGB uint8 [H, W, 3].

        Args:
            opacity: of the colors: 0 is the image alone, 1 the colors alone.
        """
        return blend(self.image, self.ids, self.colors, opacity)

    def areas(self) -> dict[str, float]:
        """Share of the pixels, 0 to 1, of each class that has any, largest first."""
        pixels = np.bincount(self.ids.ravel(), minlength=len(self.classes))
        order = np.argsort(-pixels, kind="stable")
        return {self.classes[k]: float(pixels[k]) / self.ids.size for k in order if pixels[k]}


@dataclass(frozen=True)
class Explanation:
    """What a decoder shows of one image.

    Attributes:
        image: RGB uint8 [H, W, 3], as it was given.
        arrays: fp32, by the names in the decoder's ``EXPLAINS``; the files in ``src.explain`` say what they are.
        decoder: ``ecenet``, ``cpt`` or ``csnet``.
        classes: K names.
        colors: K RGB colors, 0 to 255.
    """

    image: np.ndarray
    arrays: Mapping[str, np.ndarray]
    decoder: str
    classes: Sequence[str]
    colors: Sequence[Sequence[int]]

    def write(self, folder: str | Path, stem: str = "explain", pixel: tuple[int, int] | None = None) -> list[Path]:
        """Draw the arrays as ``FOLDER/STEM_*.png`` and return the files.

        Args:
            pixel: (row, column) of the pictures that show one pixel; None: the center.

        Raises:
            UserError: the pixel lies outside the image.
        """
        from src.explain import DRAWERS  # Matplotlib takes a second
        from src.explain.subject import Subject

        place = check_pixel(pixel, self.image)
        return DRAWERS[self.decoder](
            dict(self.arrays), Subject(self.image, self.classes, self.colors, place, Path(folder), stem)
        )


def check_pixel(pixel: Sequence[int] | None, image: np.ndarray) -> tuple[int, int]:
    """The pixel to explain, (row, column): the given one, or the center.

    Raises:
        UserError: it lies outside the image.
    """
    height, width = image.shape[:2]
    row, column = pixel or (height // 2, width // 2)
    if not (0 <= row < height and 0 <= column < width):
        raise UserError(f"pixel {row} {column}: lies outside the image of {height}x{width}")
    return row, column


class Model:
    """A trained network with its classes; `load` opens one. Threads may share it: they take turns.

    Attributes:
        path: the file that was loaded.
        config: what it was trained with.
        classes: K names.
        colors: K RGB colors, 0 to 255.
        explains: names of the arrays that `explain` returns at most; empty where there is nothing to explain.
    """

    def __init__(self, path: Path, config: Config, fixed_size: bool):
        self.path, self.config = path, config
        with device.execution_mode(config.device.mode):
            device.setup(config.device.target, config.device.mode, config.device.native)
            self._open(fixed_size)

    def _open(self, fixed_size: bool) -> None:
        path, config = self.path, self.config
        self._transforms = build_transforms(config.data.eval_transforms, config.data, "eval_transforms")
        # A converted checkpoint does not know its classes; the catalog knows those of a named data set.
        info = None if config.data.name == "folder" else load_dataset_info(config.data.name)
        opened = runner.open_model(config, path, fixed_size, list(info.classes) if info else None)
        colors = opened.colors or (info and info.colors)
        if not opened.classes or not colors:
            raise UserError(f"{path}: its classes and colors are not known; use the .ckpt of train.py")
        self.classes: list[str] = opened.classes
        self.colors: Sequence[Sequence[int]] = colors
        self._run, self._network = opened.run, opened.network
        decoder = opened.network.decoder if opened.network else None
        self.explains: tuple[str, ...] = tuple(getattr(decoder, "EXPLAINS", ()))
        self._explain = runner.explanation_runner(opened.network) if self.explains else None
        self._lock = threading.Lock()

    def ids(self, rgb: np.ndarray) -> np.ndarray:
        """The ids alone of what `predict` returns, uint8 [H, W], up to rounding; with many classes much faster."""
        image = self._normalized(rgb)
        with self._lock, device.execution_mode(self.config.device.mode):
            return protocol.predict(self._run, image, self.config.eval, rgb.shape[:2])

    def predict(self, rgb: np.ndarray) -> Result:
        """Segment an image by the protocol of the config's section ``eval``.

        Args:
            rgb: uint8 [H, W, 3], 0 to 255; at least 32 pixels a side after ``data.eval_transforms``.

        Raises:
            UserError: it is no such image.
        """
        image = self._normalized(rgb)
        with self._lock, device.execution_mode(self.config.device.mode):
            found = protocol.probabilities(self._run, image, self.config.eval, rgb.shape[:2])
        return Result(rgb, found, self.classes, self.colors)

    def explain(self, rgb: np.ndarray) -> Explanation:
        """What the decoder shows of an image, on the whole image at once.

        Args:
            rgb: as in `predict`.

        Raises:
            UserError: it is no such image, the decoder has nothing to show, or this is an exported file.
        """
        if self._explain is None:
            raise UserError(
                f"{self.path}: decoder {self.config.model.decoder.name} has nothing to show; ecenet, cpt and csnet have"
                if self._network
                else f"{self.path}: an exported file explains nothing; load the .ckpt that it was exported from"
            )
        image = self._normalized(rgb)
        with self._lock, device.execution_mode(self.config.device.mode):
            arrays = self._explain(image)
        return Explanation(rgb, arrays, self.config.model.decoder.name, self.classes, self.colors)

    def _normalized(self, rgb: np.ndarray) -> np.ndarray:
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            found = f"{rgb.dtype} {list(rgb.shape)}" if isinstance(rgb, np.ndarray) else type(rgb).__name__
            raise UserError(f"rgb: expected an image uint8 [H, W, 3] with colors of 0 to 255, found {found}")
        return self._transforms(rgb, None, np.random.default_rng(0))[0][None]


def load(
    path: str | Path, config: str | Path | None = None, overrides: Sequence[str] = (), fixed_size: bool = False
) -> Model:
    """Open a checkpoint, a run folder (its best checkpoint), or an exported ``.mindir`` or ``.onnx``.

    Args:
        path: the file or folder.
        config: the config file; None: the one that the checkpoint carries.
        overrides: as of ``--set``, such as ``"eval.flip=true"`` or ``"device.target=CPU"``.
        fixed_size: all images have one size, which is faster; otherwise a network is compiled once for all sizes where
            its backbone can do this, or else anew for each size.

    Raises:
        UserError: the file cannot be read, carries no config, or is of another model than the config describes.
    """
    weights = find_weights(path)
    return Model(weights, find_config(weights, config, overrides), fixed_size)


def train(
    config: Mapping[str, Any] | str | Path, output: str | Path, resume: str = "auto", overrides: Sequence[str] = ()
) -> Path:
    """Train a network as ``train.py`` does, and return the run folder, which `load` opens.

    Args:
        config: the sections of a config file as a dictionary (docs/configuration.md), or the file.
        output: the run folder.
        resume: ``auto`` continues a run that is in it, ``never`` refuses to; or a ``last.ckpt`` to continue from.
        overrides: as of ``--set``.

    Raises:
        UserError: of every part; nothing is lost that a checkpoint holds.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, which are heard in the main thread alone; the training is saved,
            and the same call continues it.
    """
    from src.jobs.training import train as run  # a program that only predicts does without

    settings = make_config(dict(config), overrides) if isinstance(config, Mapping) else load_config(config, overrides)
    with device.execution_mode(settings.device.mode):
        stopped_by = run(settings, output, resume)
    if stopped_by:
        raise KeyboardInterrupt(stopped_by)
    return Path(output)


def evaluate(path: str | Path, config: str | Path | None = None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Score a checkpoint, a run folder or an exported file on ``data.val_split``; return what eval.json holds.

    Args:
        path, config, overrides: as of `load`.

    Returns:
        ``mIoU``, ``aAcc``, ``mAcc`` and so on in percent, ``per_class``, ``absent_classes``, ``images``, ``protocol``.

    Raises:
        UserError: as of `load`, or the split has no labels, or the data cannot be read.
    """
    from src.jobs.evaluation import evaluate as score  # a program that only predicts does without

    weights = find_weights(path)
    settings = find_config(weights, config, overrides)
    with device.execution_mode(settings.device.mode):
        return score(settings, weights).report()
