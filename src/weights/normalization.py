"""Normalization of the images that pretrained weights were trained with.

Weights and normalization belong together: with another normalization a network predicts badly, without any error.
Values are RGB, for images from 0 to 255.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from src.errors import UserError
from src.schema.data import DataConfig
from src.weights.sources import family

_MEAN_TOLERANCE = 1.0  # of 255: TensorFlow's (x - 127) / 128 and timm's (x - 127.5) / 127.5 count as equal
_STD_TOLERANCE = 0.02  # relative


class Normalization(NamedTuple):
    """(image - mean) / std, channels in the order ``channels``."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: str = "RGB"


IMAGENET = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
HALF = Normalization((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))

# (source, family of the architecture): normalization. All others are IMAGENET.
_EXCEPTIONS = {("timm", "efficientnet"): HALF, ("efficientnet-lite", "efficientnet"): HALF}

# Published files that differ from the rest of their source, recognized by path: (pattern, normalization).
_EXCEPTIONAL_FILES = [(r"resnet34[._]ra4_e3600_r224", HALF)]  # timm

_CAFFE = re.compile(r"caffe|bgr", re.IGNORECASE)


def normalization(source: str, arch: str, path: str | Path = "") -> Normalization | None:
    """Return the normalization of a pretrained source; None for ``own``, whose files may state it themselves.

    Args:
        source: a key of ``sources.SOURCES``.
        arch: name of the backbone.
        path: the file; exceptions are recognized by its name or folder.
    """
    for pattern, values in _EXCEPTIONAL_FILES:
        if re.search(pattern, str(path)):
            return values
    if source == "own":
        return None
    return _EXCEPTIONS.get((source, family(arch)), IMAGENET)


def refuse_caffe(path: str | Path) -> None:
    """Refuse a file whose name says that it was trained the Caffe way.

    Such ResNets expect BGR without division by the standard deviation, and have a bottleneck's stride in another
    convolution; their parameter names do not show it.

    Raises:
        UserError: the name has ``caffe`` or ``bgr`` in it.
    """
    if _CAFFE.search(Path(path).name):
        raise UserError(
            f"{path}: weights of Caffe's kind (BGR images, stride in the first convolution) are not supported; "
            "use the 'pytorch' style ones (rename the file if it is not of that kind)"
        )


def check_normalization(meta_or_source: Mapping[str, Any] | str, data_config: DataConfig, arch: str = "") -> str | None:
    """Compare a config's ``data.mean`` and ``data.std`` with those the weights were trained with.

    Args:
        meta_or_source: the ``__meta__`` of a converted checkpoint, or a source's name.
        data_config: section ``data`` of the config.
        arch: name of the backbone, where a source's name is given.

    Returns:
        A warning, or None when they agree or nothing is known.
    """
    if isinstance(meta_or_source, str):
        source, expected = meta_or_source, normalization(meta_or_source, arch)
    else:
        source, expected = meta_or_source.get("source", "this project"), None
        if "mean" in meta_or_source and "std" in meta_or_source:
            mean, std = tuple(meta_or_source["mean"]), tuple(meta_or_source["std"])
            expected = Normalization(mean, std, meta_or_source.get("channels", "RGB"))
    if expected is None:
        return None
    same = expected.channels == "RGB" and all(
        abs(m - n) <= _MEAN_TOLERANCE and abs(s - t) <= _STD_TOLERANCE * t
        for m, n, s, t in zip(data_config.mean, expected.mean, data_config.std, expected.std, strict=True)
    )
    if same:
        return None
    return (
        f"warning: the backbone's weights ({source}) were trained with mean {list(expected.mean)} and std "
        f"{list(expected.std)} ({expected.channels}), but the config has data.mean {list(data_config.mean)} and "
        f"data.std {list(data_config.std)}; set both to the weights' values"
    )
