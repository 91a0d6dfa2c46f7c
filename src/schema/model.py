"""Keys of ``model``: backbones and decoders."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from src.schema.base import Count, Positive, Rate, Section


class BackboneSection(Section):
    """Keys that all backbones share."""

    weights: str | None = None  # file to start from


class ResNetConfig(BackboneSection):
    """ResNet pyramid (He et al., CVPR 2016)."""

    name: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
    output_stride: Literal[8, 16, 32] = 32  # stride of the deepest stage; below 32 by dilation
    deep_stem: bool = False  # three 3x3 convolutions instead of one 7x7 (ResNet-C)
    norm_eval: bool = False  # batch norms keep their running statistics in training
    frozen_stages: Annotated[int, Field(ge=-1, le=4)] = -1  # not trained: 0 the stem, 1..4 so many stages as well


class SwinConfig(BackboneSection):
    """Swin Transformer pyramid (Liu et al., ICCV 2021)."""

    name: Literal["swin_tiny", "swin_small", "swin_base", "swin_large"]
    window: Annotated[int, Field(ge=2)] = 7  # tokens a side; 7 or 12 in published weights
    drop_path: Rate = 0.2  # of the last block; recipes: 0.2 tiny, 0.3 the others
    pad_before_shift: bool = True  # false: as timm, where a stage does not divide into windows
    shift_single_window: bool = False  # true: as mmsegmentation, where one window covers a stage


class MixTransformerConfig(BackboneSection):
    """Mix Transformer pyramid, the encoder of SegFormer (Xie et al., NeurIPS 2021)."""

    name: Literal["mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"]
    drop_path: Rate = 0.1  # of the last block


class EfficientNetLiteConfig(BackboneSection):
    """EfficientNet-Lite pyramid (Tan and Le, ICML 2019)."""

    name: Literal["efficientnet_lite0"]
    drop_path: Rate = 0.0  # of the last block


class DecoderSection(Section):
    """Keys that all decoders share."""

    weights: str | None = None  # checkpoint of this project to start from: a whole network's or a converted decoder


class FPNConfig(DecoderSection):
    """Semantic FPN baseline."""

    name: Literal["fpn"]
    channels: Count = 128
    dropout: Rate = 0.1


class AttentionSection(DecoderSection):
    """Keys that all decoders with attention share."""

    channels: Count = 256  # width of the decoder
    heads: Count = 4  # must divide `channels`
    mlp_ratio: Count = 4  # width of the MLPs, in `channels`
    gelu: Literal["exact", "tanh"] = "exact"  # tanh: the approximation
    dropout: Rate = 0.1  # of whole channels, before the classifier

    @model_validator(mode="after")
    def _heads_divide(self) -> "AttentionSection":
        if self.channels % self.heads:
            raise ValueError(f"channels {self.channels} is not a multiple of heads {self.heads}")
        return self


class MemoryConfig(Section):
    """Prototypes of the whole training set (CPT)."""

    momentum: Rate = 0.99  # share that stays at an update


def _on_or_off(value):
    """YAML reads on and off as true and false, unless quoted."""
    switches = {"on": {}, "off": None, True: {}, False: None}
    return switches[value] if isinstance(value, (str, bool)) and value in switches else value


class CPTConfig(AttentionSection):
    """Category Prototype Transformer; docs/cpt.md explains the options."""

    name: Literal["cpt"]
    source: Literal["prototypes", "pixels"] = "prototypes"  # what a query attends to
    assignment: Literal["hard", "soft", "teacher"] = "hard"  # which pixels make a prototype
    memory: Annotated[MemoryConfig | None, BeforeValidator(_on_or_off)] = MemoryConfig()  # null or off: none
    min_mass: Annotated[float, Field(gt=0, lt=1)] = 1e-3  # pixels above which a class counts as present (`soft`)
    output_level: Literal[0, 1, 2, 3] = 0  # where the pyramid ends: 0 = stride 4, 3 = stride 32
    fusion: Literal["concat", "last"] = "concat"  # of all levels, or the finest alone


class FCNConfig(DecoderSection):
    """FCN baseline on the deepest feature, with an auxiliary head on the one before."""

    name: Literal["fcn"]
    channels: Count = 512
    auxiliary_channels: Count = 256
    dropout: Rate = 0.1


class ECENetConfig(AttentionSection):
    """ECENet (ICCV 2023): class embeddings extracted from masks."""

    name: Literal["ecenet"]
    token_ratio: Positive = 1.0  # finest pooling grid: floor(sqrt(classes) * ratio) a side, made odd
    invert_attention: bool = True  # attend with negative affinities, as the release does
    ghost_upscale: bool = True  # learned upsampling of the coarse levels; false: bilinear
    feature_reconstruction: bool = True  # false: take the backbone's features as they are, without diversity


class CSNetConfig(DecoderSection):
    """C-S Net (AAAI 2021), on the two deepest maps; meant for a ResNet with ``output_stride`` 8."""

    name: Literal["csnet"]
    channels: Count = 512
    cs_channels: Count = 256  # width of the consistent-separable features
    auxiliary_channels: Count = 256
    dropout: Rate = 0.1


BackboneConfig = Annotated[
    ResNetConfig | SwinConfig | MixTransformerConfig | EfficientNetLiteConfig, Field(discriminator="name")
]
DecoderConfig = Annotated[FPNConfig | FCNConfig | ECENetConfig | CPTConfig | CSNetConfig, Field(discriminator="name")]


class ModelConfig(Section):
    """Backbone and decoder."""

    # Statistics of batch norm in training: of a worker's share of the batch, or of the whole batch (sync). auto: the
    # whole batch where there are several workers.
    norm: Literal["auto", "batch", "sync"] = "auto"
    backbone: BackboneConfig
    decoder: DecoderConfig
