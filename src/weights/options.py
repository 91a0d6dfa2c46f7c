"""Backbone options read from a weights file: the stem of a ResNet, the window of a Swin."""

import math
from collections.abc import Mapping

import numpy as np

from src.weights.fit import TABLE
from src.weights.sources import family

_DEEP_STEM = ("stem.0.weight", "conv1.0.weight", "conv1.0.conv.weight")  # mmsegmentation, timm, own


def options_from(arch: str, tensors: Mapping[str, np.ndarray], window: int | None = None) -> dict[str, object]:
    """Return the options for `build_backbone` that make it fit ``tensors``.

    Args:
        window: of a Swin, instead of the file's; the tables of relative positions are then interpolated.
    """
    if family(arch) == "resnet":
        return {"deep_stem": any(name.endswith(_DEEP_STEM) for name in tensors)}
    if family(arch) == "swin":
        return {"window": window or _window(tensors)}
    return {}


def _window(tensors: Mapping[str, np.ndarray]) -> int:
    """Side of the windows: a table has (2 * window - 1)^2 rows. 7 when there is no table."""
    rows = next((values.shape[0] for name, values in tensors.items() if name.endswith(TABLE)), 169)
    return (math.isqrt(rows) + 1) // 2
