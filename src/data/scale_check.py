"""A warning when a training crop would show only a small part of an image, and evaluation another scale."""

from collections.abc import Sequence

import numpy as np

from src.data.records import Metadata
from src.data.transforms.geometry import fitting_ratio
from src.schema.data import DataConfig

LARGEST_PART = 4.0  # areas of the crop that the image in which it is cut may have
MOST_DIFFERENT = 2.0  # ratio of the sizes, in training and in evaluation, of the same object

Sizes = tuple[np.ndarray, np.ndarray, np.ndarray]  # lowest, middle and highest [H, W]


def scale_warning(metadata: Metadata, data: DataConfig) -> str | None:
    """A warning about the size of the median training image where it is cropped, with the keys to set; or None."""
    size = metadata.split(data.train_split).sizes["median"]
    sizes = _before_crop(size, data)
    if sizes is None:
        return None
    lowest, middle, highest = sizes
    side = min(data.crop)
    base, resize = f"data.base_size: [{side}, {4 * side}]", "{name: resize, keep_ratio: true}"
    share = float(np.prod(data.crop) / np.prod(middle))
    if share < 1 / LARGEST_PART:
        becomes = "" if (lowest == highest).all() else f", scaled to between {_text(lowest)} and {_text(highest)}"
        return (
            f"warning: data.base_size: a crop of {_text(data.crop)} shows {100 * share:.1f} % of the median image "
            f"({_text(size)}{becomes}, up to {np.prod(highest) / 1e6:.1f} megapixels); unless the objects are that "
            f"small, set {base} and data.eval_transforms: [{resize}, {{name: normalize}}]"
        )
    seen = _in_evaluation(size, data)
    ratio = float(np.sqrt(np.prod(seen) / np.prod(middle)))
    if not 1 / MOST_DIFFERENT <= ratio <= MOST_DIFFERENT:
        also = "" if data.base_size else f" and set {base}"
        return (
            f"warning: data.eval_transforms: training sees the median image at {_text(lowest)} to {_text(highest)}, "
            f"evaluation at {_text(seen)}; let evaluation begin with {resize}{also}"
        )
    return None


def _before_crop(size: Sequence[int], data: DataConfig) -> Sizes | None:
    """Sizes in which the crop is cut; None if no crop of its own scale is cut."""
    lowest, middle, highest = (np.array(size, float),) * 3
    for transform in data.train_transforms:
        if transform.name == "random_scale":
            base = transform.base or data.base_size
            fit = fitting_ratio(size, base) if base else 1.0
            low, high = transform.ratio
            lowest, middle, highest = (middle * fit * ratio for ratio in (low, (low * high) ** 0.5, high))
        elif transform.name == "resize":
            lowest, middle, highest = (_resized(size, transform.size or data.base_size, transform.keep_ratio),) * 3
        elif transform.name in ("random_crop", "class_balanced_crop"):
            return lowest, middle, highest
        elif "crop" in transform.name:
            return None
    return None


def _in_evaluation(size: Sequence[int], data: DataConfig) -> np.ndarray:
    for transform in data.eval_transforms:
        if transform.name == "resize":
            return _resized(size, transform.size or data.base_size, transform.keep_ratio)
    return np.array(size, float)


def _resized(size: Sequence[int], target: Sequence[int] | None, keep_ratio: bool) -> np.ndarray:
    if target is None:
        return np.array(size, float)
    return np.array(size) * fitting_ratio(size, target) if keep_ratio else np.array(target, float)


def _text(size: Sequence[float] | np.ndarray) -> str:
    return f"{round(size[0])}x{round(size[1])}"
