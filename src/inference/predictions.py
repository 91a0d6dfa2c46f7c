"""Predictions as PNG files: in color, as train ids, or in the data set's own numbering."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.errors import UserError
from src.report.images import colorize, write_gray, write_image

KINDS = ("color", "ids", "raw")
# Where the benchmark's server or its script looks for the raw files; of others they lie in ``raw`` itself.
# Cityscapes: evalPixelLevelSemanticLabeling.py of cityscapesScripts searches ``results`` for CITY_SEQUENCE_FRAME*.png.
# VOC: the development kit; comp5 instead of comp6 is for trainings on VOC alone.
SERVER_FOLDERS = {"cityscapes": "results", "voc2012": "results/VOC2012/Segmentation/comp6_{split}_cls"}


class Predictions:
    """Writes predictions below a folder, under the whole name of the image, which may have folders of its own.

    Args:
        folder: gets the folders ``predictions`` (color), ``ids`` and ``raw``.
        kinds: those of `KINDS` to write.
        colors: RGB of each class.
        label_map: raw value -> train id, as in the metadata of records.
        dataset, split: names, for `SERVER_FOLDERS`.
    """

    def __init__(
        self,
        folder: Path,
        kinds: Sequence[str],
        colors: Sequence[Sequence[int]],
        label_map: dict[str, int],
        dataset: str,
        split: str,
    ):
        self.colors = colors
        self.raw = raw_values(label_map, len(colors)) if "raw" in kinds else None
        inside = SERVER_FOLDERS.get(dataset, "").format(split=split)
        folders = {"color": folder / "predictions", "ids": folder / "ids", "raw": folder / "raw" / inside}
        self.folders = {kind: folders[kind] for kind in kinds}

    def add(self, name: str, prediction: np.ndarray) -> None:
        """prediction: train ids [H, W]."""
        for kind, folder in self.folders.items():
            path = folder / f"{name}.png"
            if kind == "color":
                write_image(path, colorize(prediction, self.colors))
                continue
            values = prediction if self.raw is None or kind == "ids" else self.raw[prediction]
            write_gray(path, values)


def raw_values(label_map: dict[str, int], classes: int) -> np.ndarray:
    """The raw value of each train id, [K]: the first one where several were mapped to it.

    Returns:
        uint8, or uint16 where a value needs it.

    Raises:
        UserError: the label map leaves out a class.
    """
    first: dict[int, int] = {}
    for raw, train_id in label_map.items():
        first.setdefault(train_id, int(raw))
    missing = [train_id for train_id in range(classes) if train_id not in first]
    if missing:
        raise UserError(
            f"--save-predictions raw: the records' label map has no raw value for class {missing[0]}; use ids"
        )
    values = np.array([first[train_id] for train_id in range(classes)])
    return values.astype(np.uint8 if values.max() < 256 else np.uint16)
