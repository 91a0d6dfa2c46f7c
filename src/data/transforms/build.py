"""From the names in a configuration to a chain of transforms."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.data.transforms import color, crops, filling, geometry
from src.data.transforms.base import Pair
from src.data.transforms.normalize import Normalize
from src.errors import UserError
from src.schema.data import DataConfig
from src.schema.transforms import TransformConfig


class Compose:
    """Transforms one after the other."""

    def __init__(self, transforms: Sequence):
        self.transforms = transforms

    def __call__(self, image: np.ndarray, label: np.ndarray | None, random: np.random.Generator) -> Pair:
        for transform in self.transforms:
            image, label = transform(image, label, random)
        return image, label


def build_transforms(
    configs: Sequence[TransformConfig], data: DataConfig, key: str, class_share: Sequence[float] | None = None
) -> Compose:
    """Build the transforms of ``data.train_transforms`` or ``data.eval_transforms`` in the order given.

    Args:
        class_share: share of each class in the labeled pixels of the split, for ``class_balanced_crop`` alone.

    Raises:
        UserError: ``normalize`` is not the last one (whatever follows would work on numbers instead of colors),
            or evaluation would change more than the image's size: its label stays as it is.
    """
    names = [config.name for config in configs]
    if names.count("normalize") != 1 or names[-1] != "normalize":
        raise UserError(f"data.{key}: expected normalize once, as the last transform; found {', '.join(names)}")
    if key == "eval_transforms" and not set(names) <= {"resize", "normalize"}:
        wrong = next(name for name in names if name not in ("resize", "normalize"))
        raise UserError(f"data.{key}: {wrong} is for training only; evaluation takes resize and normalize")
    crop, mean = {"size": data.crop}, {"mean": data.mean}
    given: dict[str, tuple[type, dict[str, Any]]] = {
        "random_scale": (geometry.RandomScale, {"base": data.base_size}),
        "resize": (geometry.Resize, {"size": data.base_size}),
        "random_flip": (geometry.RandomFlip, {}),
        "random_vertical_flip": (geometry.RandomVerticalFlip, {}),
        "random_rotation": (geometry.RandomRotation, mean),
        "random_crop": (crops.RandomCrop, crop),
        "random_resized_crop": (crops.RandomResizedCrop, crop),
        "class_balanced_crop": (crops.ClassBalancedCrop, {**crop, "class_share": class_share}),
        "photometric_distortion": (color.PhotometricDistortion, {}),
        "color_jitter": (color.ColorJitter, {}),
        "random_gray": (color.RandomGray, {}),
        "gaussian_blur": (color.GaussianBlur, {}),
        "gaussian_noise": (color.GaussianNoise, {}),
        "coarse_dropout": (filling.CoarseDropout, mean),
        "pad": (filling.Pad, {**crop, **mean}),
        "normalize": (Normalize, {**mean, "std": data.std}),
    }
    built = []
    for config in configs:
        kind, options = given[config.name]
        options = {**options, **config.model_dump(exclude={"name"}, exclude_none=True)}
        if config.name == "resize" and options["size"] is None:
            raise UserError(f"data.{key}: resize has no size, and data.base_size is null; give one of them")
        if config.name == "class_balanced_crop" and class_share is None:
            raise ValueError("class_balanced_crop needs the split's class_share")
        built.append(kind(**options))
    return Compose(built)
