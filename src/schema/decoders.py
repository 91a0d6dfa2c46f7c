"""Keys of ``model.decoder``, one section per decoder; ``name`` chooses."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from src.schema.base import Count, Positive, Rate, Section


class DecoderSection(Section):
    """Keys that all decoders share."""

    weights: str | None = None
    """Checkpoint of this project to start from: a whole network's, or a decoder converted with `--arch head`."""


class FPNConfig(DecoderSection):
    """Semantic FPN baseline (Kirillov et al., CVPR 2019)."""

    name: Literal["fpn"]
    channels: Count = 128
    """Width of the pyramid, in channels."""
    dropout: Rate = 0.1
    """Rate at which training drops whole channels before the classifier."""


class FCNConfig(DecoderSection):
    """FCN baseline (Long et al., CVPR 2015): a head on the deepest map, an auxiliary one on the map before it."""

    name: Literal["fcn"]
    channels: Count = 512
    """Width of the head, in channels."""
    auxiliary_channels: Count = 256
    """Width of the auxiliary head, in channels."""
    dropout: Rate = 0.1
    """Rate at which training drops whole channels before both classifiers."""


class PSPConfig(DecoderSection):
    """PSP baseline (Zhao et al., CVPR 2017): pools of the deepest map, an auxiliary head on the map before it."""

    name: Literal["psp"]
    channels: Annotated[int, Field(ge=4)] = 512
    """Width of the head, in channels; each of the four pools has a fourth."""
    auxiliary_channels: Count = 256
    """Width of the auxiliary head, in channels."""
    dropout: Rate = 0.1
    """Rate at which training drops whole channels before both classifiers."""


class AttentionSection(DecoderSection):
    """Keys that all decoders with attention share."""

    channels: Count = 256
    """Width D of the decoder, in channels."""
    heads: Count = 4
    """Attention heads; must divide `channels`."""
    mlp_ratio: Count = 4
    """Width inside the MLPs, as a multiple of `channels`."""
    gelu: Literal["exact", "tanh"] = "exact"
    """Form of the GELU; `tanh` is the approximation, which is cheaper on a CPU."""
    dropout: Rate = 0.1
    """Rate at which training drops whole channels before the classifier."""
    invert_attention: bool = True
    """Attend with negative affinities, as the release of ECENet and the code of CPT do."""
    mask_supervision: Literal["sum", "levels"] = "sum"
    """What mask and dice loss act on: the sum of the masks of three levels, or each of them, where the three losses add
    up."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "AttentionSection":
        if self.channels % self.heads:
            raise ValueError(f"channels {self.channels} is not a multiple of heads {self.heads}")
        return self


def _branches(value: str | bool) -> str:
    """YAML reads off as false, unless quoted; and the key once was true or false."""
    return {True: "both", False: "off"}[value] if isinstance(value, bool) else value


class ECENetConfig(AttentionSection):
    """ECENet (ICCV 2023): class embeddings extracted from masks; see docs/ecenet.md."""

    name: Literal["ecenet"]
    token_ratio: Positive = 1.0
    """ρ of the finest pooling grid, which has ⌊√K ρ⌋ cells a side for K classes, plus one if that is even; with the
    number of classes it must give 1 to 64 cells a side."""
    query_activation: Literal["relu", "none"] = "relu"
    """ReLU after both convolutions of the queries, as in the runtime of the authors' release, or none, as in its
    training lineage; `none` trains better, a converted checkpoint of the release needs `relu`."""
    class_embeddings: Literal["masks", "learned"] = "masks"
    """Where the class embeddings start: extracted from the first mask of the image, or one learned query per class."""
    token_update: bool = True
    """Update the class embeddings by the masks of every level; false: they stay as they started."""
    output: Literal["both", "features", "masks"] = "both"
    """What the logits are: those of the fused features plus the class branch, or one of the two alone; those of `masks`
    lie in (0, 1)."""
    ghost_upscale: bool = True
    """Upsample the coarse levels by learned ghost modules; false: bilinearly."""
    upscale_init: Literal["random", "nearest"] = "random"
    """How the ghost modules start: with random kernels, or with kernels that are equal within each group of four
    channels, so that each module makes 2 x 2 equal pixels; `nearest` needs an even number of `channels`."""
    feature_reconstruction: Annotated[
        Literal["both", "intrinsic", "diverse", "off", True, False], AfterValidator(_branches)
    ] = "both"
    """Branches by which the backbone's maps are reconstructed, whose channels must be even then; `off` takes the maps
    as they are. `true` is `both`, `false` is `off`. Without the diverse branch the diversity loss is 0."""

    @model_validator(mode="after")
    def _whole_groups(self) -> "ECENetConfig":
        if self.upscale_init == "nearest" and self.channels % 2:
            raise ValueError(f"upscale_init nearest needs an even number of channels, found {self.channels}")
        return self


class MemoryConfig(Section):
    """Prototypes of the whole training set, one memory per block; off: those of the image alone."""

    momentum: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the new value in an update of the memory, and of the memory in the prototypes."""
    init: str = "random"
    """How a training starts it: `random` rows of length 1, or a FILE of class means, written by
    `python -m src.tools.class_means`."""


def _on_or_off(value: Any) -> Any:
    """YAML reads on and off as true and false, unless quoted."""
    switches: dict[Any, dict | None] = {"on": {}, "off": None, True: {}, False: None}
    return switches[value] if isinstance(value, (str, bool)) and value in switches else value


def _offer_switches(schema: dict) -> None:
    """Let the JSON schema say what `_on_or_off` takes."""
    schema["anyOf"].append({"enum": ["on", "off", True, False]})


class CPTConfig(AttentionSection):
    """Category Prototype Transformer (TIP 2025); see docs/cpt.md."""

    name: Literal["cpt"]
    pool_channels: Count = 48
    """Width of the global pooling branch, in channels."""
    source: Literal["prototypes", "pixels", "bilinear"] = "prototypes"
    """What a pixel attends to: one prototype per category, or all pixels of the coarser map; `bilinear` adds the
    coarser map, resized, in place of the attention. Only `prototypes` have a `memory`."""
    memory: Annotated[MemoryConfig | None, BeforeValidator(_on_or_off), Field(json_schema_extra=_offer_switches)] = (
        MemoryConfig()
    )


class CSNetConfig(DecoderSection):
    """C-S Net (AAAI 2021), in our reading: a baseline and two modules; meant for a backbone with `output_stride: 8`."""

    name: Literal["csnet"]
    base: Literal["fcn", "psp", "fpn"] = "fcn"
    """Baseline whose map before the classifier the modules work on, and whose heads are used."""
    channels: Count = 512
    """Width of the original and of the fused features, in channels."""
    cs_channels: Count = 256
    """Width of the consistent-separable features and inner width of the gate, in channels."""
    auxiliary_channels: Count = 256
    """Width of the auxiliary head, in channels; without effect with base `fpn`, which has none."""
    aggregation: bool = True
    """Classify the fused features; false: the original ones, and the C-S features act through their losses alone."""
    fusion: Literal["residual", "gate", "concat"] = "residual"
    """How the features are fused. `gate`: weighted against each other per pixel and channel, evenly at the start;
    `residual`: the gate's result corrects the original features, by nothing at the start; `concat`: concatenated."""
    classify_consistent: bool = False
    """Classify the C-S features themselves too, in training, for the loss `consistent_ce`."""
    dropout: Rate = 0.1
    """Rate at which training drops whole channels before the baseline's classifiers."""

    @model_validator(mode="after")
    def _pools_have_channels(self) -> "CSNetConfig":
        if self.base == "psp" and self.channels < 4:
            raise ValueError(f"channels {self.channels}: base psp needs at least 4")
        return self


DecoderConfig = Annotated[
    FPNConfig | FCNConfig | PSPConfig | ECENetConfig | CPTConfig | CSNetConfig, Field(discriminator="name")
]
