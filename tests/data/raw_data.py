"""Small data sets on disk, and the config section for them."""

from pathlib import Path

import cv2
import numpy as np

from src.data.info import FOLDER, Layout
from src.schema.data import DataConfig

CLASSES = "classes: [road, car, tree]\n"
TRAIN_TRANSFORMS = [
    {"name": "random_scale", "ratio": [0.7, 1.5]},
    {"name": "random_crop", "max_class_share": 0.9},
    {"name": "random_flip"},
    {"name": "photometric_distortion"},
    {"name": "pad"},
    {"name": "normalize"},
]


def picture(index: int, height: int = 24, width: int = 32) -> np.ndarray:
    """A BGR image of noise, another one for each index."""
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)


def stripes(height: int = 24, width: int = 32) -> np.ndarray:
    """A label with three vertical stripes 0, 1, 2 and a column of 255 at the right."""
    label = np.repeat((np.arange(width) * 3 // width).astype(np.uint8)[None], height, axis=0)
    label[:, -1] = 255
    return label


def write_raw(root: Path, counts: dict[str, int], layout: Layout = FOLDER, label: np.ndarray | None = None) -> Path:
    """Write ``counts[split]`` images img00, img01, ... with their labels and a classes.yaml; return ``root``."""
    for split, count in counts.items():
        images, labels = (root / part.format(split=split) for part in (layout.images, layout.annotations))
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for index in range(count):
            cv2.imwrite(str(images / f"img{index:02d}.png"), picture(index))
            cv2.imwrite(str(labels / f"img{index:02d}.png"), stripes() if label is None else label)
    (root / "classes.yaml").write_text(CLASSES)
    return root


def folder_config(records: Path, root: Path | None = None, **options) -> DataConfig:
    """The config section of a `folder` data set with 16x16 crops."""
    defaults = {"name": "folder", "crop": [16, 16], "train_transforms": TRAIN_TRANSFORMS}
    return DataConfig(**{**defaults, "records": str(records), "root": root and str(root), **options})
