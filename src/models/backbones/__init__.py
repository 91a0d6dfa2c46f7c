"""Backbones: an image to four feature maps, one file per family.

They build on ``layers`` and know nothing of decoders; others reach them through ``build_backbone``.
"""

from functools import partial

from mindspore import nn

from src.models.backbones import efficientnet_lite, mix_transformer, resnet, swin
from src.schema.options import complete

BACKBONES = {
    **{name: partial(resnet.ResNet, name) for name in resnet.ARCHITECTURES},
    **{name: partial(swin.SwinTransformer, name) for name in swin.ARCHITECTURES},
    **{name: partial(mix_transformer.MixTransformer, name) for name in mix_transformer.ARCHITECTURES},
    "efficientnet_lite0": efficientnet_lite.EfficientNetLite,
}


def build_backbone(name: str, **options) -> nn.Cell:
    """Build the backbone ``name``; ``options`` are those of its section in ``src.schema.backbones``.

    The cell maps an image [B, 3, H, W], H and W at least 32, to four NCHW maps, finest first. It has
    ``out_channels`` and ``strides``, four numbers each, and ``any_shape``: whether it can be compiled once for
    images of any size.

    Raises:
        UserError: there is no such backbone, or an option is unknown or has the wrong type or range.
    """
    options = complete("backbone", name, options)
    return BACKBONES[name](**options)
