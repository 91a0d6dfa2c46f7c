"""Pictures of samples: as they are, and as training sees them."""

from collections.abc import Sequence

import cv2
import numpy as np

from src.data.inspection.sources import Source
from src.data.transforms import build_transforms
from src.report.images import denormalize
from src.schema.data import DataConfig

SHOWN = 480  # longest side of a picture, in pixels
TITLES = ["image", "label", "as augmented", "its label", "once more", "its label"]


def sample_rows(
    source: Source, split: str, positions: Sequence[int], data: DataConfig, class_share: Sequence[float], seed: int = 0
) -> list[list[np.ndarray]]:
    """A row of pictures, RGB uint8, for each sample at ``positions``; their meaning is in ``TITLES``.

    Args:
        class_share: share of each class in the labeled pixels of the split, for ``class_balanced_crop``.
    """
    transforms = build_transforms(data.train_transforms, data, "train_transforms", class_share)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(source.info.colors)] = source.info.colors
    rows = []
    for position, sample in zip(positions, source.samples(split, positions), strict=True):
        if isinstance(sample, str):
            continue
        label = sample.mapped(source.info)
        pictures = [sample.image, _overlay(sample.image, label, palette)]
        for turn in range(2):
            pixels, ids = transforms(sample.image.copy(), label.copy(), np.random.default_rng((seed, turn, position)))
            image = denormalize(pixels, data.mean, data.std)
            assert ids is not None
            pictures += [image, _overlay(image, ids, palette)]
        rows.append([shrink(picture) for picture in pictures])
    return rows


def shrink(image: np.ndarray) -> np.ndarray:
    """Shrink an image [H, W, 3] to ``SHOWN``; a small one stays as it is."""
    ratio = SHOWN / max(image.shape[:2])
    if ratio >= 1:
        return image
    height, width = (max(1, round(side * ratio)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _overlay(image: np.ndarray, ids: np.ndarray, palette: np.ndarray) -> np.ndarray:
    return cv2.addWeighted(image, 0.35, palette[ids], 0.65, 0)
