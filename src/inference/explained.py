"""What a decoder does inside, drawn for images of an evaluation."""

from collections.abc import Iterable
from pathlib import Path

from mindspore import nn

from src.explain import DRAWERS
from src.explain.subject import Subject
from src.inference.runner import explanation_runner
from src.report.images import denormalize
from src.schema import Config


def draw_inside(folder: Path, network: nn.Cell, samples: Iterable, config: Config, classes, colors) -> list[Path]:
    """Draw the inside of ECENet, CPT or C-S Net on the whole of every image; return the files.

    Args:
        folder: the files are ``NAME_*.png`` in it, NAME being that of the image, with its folders.
        samples: (image fp32 [1, 3, h, w], label, name).
        classes, colors: K names and RGB colors.
    """
    run, draw = explanation_runner(network), DRAWERS[config.model.decoder.name]
    written = []
    for image, _, name in samples:
        stem = folder / Path(name).with_suffix("")
        stem.parent.mkdir(parents=True, exist_ok=True)
        pixels = denormalize(image[0], config.data.mean, config.data.std)
        center = pixels.shape[0] // 2, pixels.shape[1] // 2
        written += draw(run(image), Subject(pixels, classes, colors, center, stem.parent, stem.name))
    return written
