"""Backbones: an image to four feature maps."""

import inspect
from functools import partial

from mindspore import nn

from src.errors import UserError, did_you_mean
from src.models.backbones import efficientnet_lite, mix_transformer, resnet, swin

BACKBONES = {
    **{name: partial(resnet.ResNet, name) for name in resnet.ARCHITECTURES},
    **{name: partial(swin.SwinTransformer, name) for name in swin.ARCHITECTURES},
    **{name: partial(mix_transformer.MixTransformer, name) for name in mix_transformer.ARCHITECTURES},
    "efficientnet_lite0": partial(efficientnet_lite.EfficientNetLite, "efficientnet_lite0"),
}


def build_backbone(name: str, **options) -> nn.Cell:
    """Build the backbone ``name``; ``options`` are its own (see its class).

    The cell maps an image [B, 3, H, W], H and W at least 32, to four NCHW maps, finest first. It has
    ``out_channels`` and ``strides``, four numbers each, and ``any_shape``: whether it can be compiled once for
    images of any size.

    Raises:
        UserError: there is no such backbone, or it has no such option.
    """
    if name not in BACKBONES:
        raise UserError(f"unknown backbone '{name}'{did_you_mean(name, BACKBONES)} Valid: {', '.join(BACKBONES)}")
    known = list(inspect.signature(BACKBONES[name]).parameters)
    for option in options:
        if option not in known:
            raise UserError(
                f"backbone {name} has no option '{option}'{did_you_mean(option, known)} Valid: {', '.join(known)}"
            )
    return BACKBONES[name](**options)
