"""Keys of ``model.backbone``, one section per family; ``name`` chooses."""

from typing import Annotated, Literal

from pydantic import Field

from src.schema.base import Rate, Section


class BackboneSection(Section):
    """Keys that all backbones share."""

    weights: str | None = None
    """File to start from, of this project or of another program (docs/weights.md); `package` takes the one of an
    installed package."""


class ResNetConfig(BackboneSection):
    """ResNet pyramid (He et al., CVPR 2016)."""

    name: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    output_stride: Literal[8, 16, 32] = 32
    """Stride of the deepest map, in pixels; below 32 the last stages are dilated instead of strided."""
    deep_stem: bool = False
    """Three 3x3 convolutions in place of the first 7x7 one (ResNet-C; `v1c` or `resnet50c` elsewhere)."""
    norm_eval: bool = False
    """Batch norms use their running statistics in training too and leave them as they are; gamma and beta are still
    trained."""
    frozen_stages: Annotated[int, Field(ge=-1, le=4)] = -1
    """What is not trained: -1 nothing, 0 the stem, N the stem and the first N stages; the batch norms of frozen parts
    behave as with `norm_eval`."""


class SwinConfig(BackboneSection):
    """Swin Transformer pyramid (Liu et al., ICCV 2021)."""

    name: Literal["swin_tiny", "swin_small", "swin_base", "swin_large"]
    window: Annotated[int, Field(ge=2)] = 7
    """Side of an attention window, in tokens; 7 or 12 in published weights."""
    drop_path: Rate = 0.2
    """Rate at which training skips the residual branches of the last block; it rises linearly from 0 at the first.
    Recipes take 0.2 for `swin_tiny` and 0.3 for the others."""
    pad_before_shift: bool = True
    """Pad a map to whole windows before it is shifted, as mmsegmentation does; false: after, as timm does."""
    shift_single_window: bool = False
    """Shift and mask along an axis that a single window covers, as mmsegmentation does; false: leave the shift out
    there, as timm does by default."""


class MixTransformerConfig(BackboneSection):
    """Mix Transformer pyramid, the encoder of SegFormer (Xie et al., NeurIPS 2021)."""

    name: Literal["mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"]
    drop_path: Rate = 0.1
    """Rate at which training skips the residual branches of the last block; it rises linearly from 0 at the first."""


class EfficientNetLiteConfig(BackboneSection):
    """EfficientNet-Lite pyramid (Tan and Le, ICML 2019)."""

    name: Literal["efficientnet_lite0"]
    output_stride: Literal[8, 16, 32] = 32
    """Stride of the deepest map, in pixels; below 32 the last stages are dilated instead of strided."""
    drop_path: Rate = 0.0
    """Rate at which training skips the residual branches of the last block; it rises linearly from 0 at the first."""


BackboneConfig = Annotated[
    ResNetConfig | SwinConfig | MixTransformerConfig | EfficientNetLiteConfig, Field(discriminator="name")
]
