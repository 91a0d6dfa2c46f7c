"""The schema of a configuration: every key with its type, default, unit and range.

Loading, layering and error messages are in ``src.config``. An unknown key and a wrong type are errors.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Size = Annotated[list[int], Field(min_length=2, max_length=2)]  # [height, width] in pixels
Triple = Annotated[list[float], Field(min_length=3, max_length=3)]  # one value per channel, RGB
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]  # of what is dropped
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """Base of all sections: unknown keys are refused and values are not converted from other types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# ---------------------------------------------------------------------------------------------- transforms
class RandomScaleConfig(Section):
    """Resize by a random ratio, drawn uniformly."""

    name: Literal["random_scale"]
    ratio: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [0.5, 2.0]
    base: Size | None = None  # the ratio multiplies this [short-side limit, long-side limit]; null: data.base_size


class RandomCropConfig(Section):
    """Cut ``data.crop`` at a random place; smaller images are cut to what they have (``pad`` fills up)."""

    name: Literal["random_crop"]
    max_class_share: Share = 1.0  # draw again, up to 10 times, while one class fills more of the crop


class RandomFlipConfig(Section):
    """Mirror left to right."""

    name: Literal["random_flip"]
    probability: Share = 0.5


class PhotometricDistortionConfig(Section):
    """Random brightness, contrast, saturation and hue, each applied with probability one half."""

    name: Literal["photometric_distortion"]
    brightness: Annotated[float, Field(ge=0)] = 32  # added value, out of 255
    contrast: Share = 0.5  # factor 1 - c to 1 + c
    saturation: Share = 0.5
    hue: Annotated[float, Field(ge=0, le=180)] = 18  # degrees


class PadConfig(Section):
    """Fill up to ``data.crop`` at the right and bottom: image with the mean colour, label with 255."""

    name: Literal["pad"]


class ResizeConfig(Section):
    """Resize to a fixed size, or to the largest one with the image's aspect ratio."""

    name: Literal["resize"]
    size: Size | None = None  # null, with keep_ratio only: data.base_size
    keep_ratio: bool = False  # true: short and long side fit into those of ``size``, upright or lying

    @model_validator(mode="after")
    def _sized(self) -> "ResizeConfig":
        if self.size is None and not self.keep_ratio:
            raise ValueError("resize needs size: [height, width], or keep_ratio: true for data.base_size")
        return self


class NormalizeConfig(Section):
    """(image - data.mean) / data.std, RGB."""

    name: Literal["normalize"]


TransformConfig = Annotated[
    RandomScaleConfig
    | RandomCropConfig
    | RandomFlipConfig
    | PhotometricDistortionConfig
    | PadConfig
    | ResizeConfig
    | NormalizeConfig,
    Field(discriminator="name"),
]


# ---------------------------------------------------------------------------------------------------- data
class ShapesConfig(Section):
    """The synthetic set: how many scenes of which size are drawn from which seed."""

    train: Count = 400
    val: Count = 80
    size: Size = [128, 128]
    seed: Natural = 0


class DataConfig(Section):
    """Where the data is and how it becomes batches."""

    name: Literal["ade20k", "camvid", "cityscapes", "coco_stuff", "folder", "pascal_context", "shapes"]
    root: str | None = None  # folder of the raw images; not needed when the records exist, nor for `shapes`
    records: str  # folder of the MindRecord files; written from `root` when missing
    classes: str | None = None  # `folder` only: YAML with class names and label map; default ROOT/classes.yaml
    shapes: ShapesConfig = ShapesConfig()
    train_split: str = "train"
    val_split: str = "val"
    shards: Count = 1  # MindRecord files per split
    crop: Size  # size of a training sample
    base_size: Size | None = None  # [short side, long side] that images fit into before random_scale; null: their own
    mean: Triple = [123.675, 116.28, 103.53]  # RGB, of 0..255; belongs to the backbone's weights
    std: Annotated[list[Positive], Field(min_length=3, max_length=3)] = [58.395, 57.12, 57.375]
    train_transforms: list[TransformConfig] = [  # applied in this order
        RandomScaleConfig(name="random_scale"),
        RandomCropConfig(name="random_crop", max_class_share=0.75),
        RandomFlipConfig(name="random_flip"),
        PhotometricDistortionConfig(name="photometric_distortion"),
        PadConfig(name="pad"),
        NormalizeConfig(name="normalize"),
    ]
    eval_transforms: list[TransformConfig] = [NormalizeConfig(name="normalize")]
    workers: Count = 2  # decoding threads; never more than there are cores


# --------------------------------------------------------------------------------------------------- model
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


# -------------------------------------------------------------------------------------------------- losses
class OhemConfig(Section):
    """Online hard example mining: only pixels predicted below ``threshold``, but at least ``min_kept``."""

    threshold: Share = 0.7  # probability of the true class
    min_kept: Count = 100_000  # pixels per batch


class CrossEntropyConfig(Section):
    """Softmax cross entropy of the final logits."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    class_weights: list[Annotated[float, Field(ge=0)]] | None = None  # one per class, or null
    ohem: OhemConfig | None = None


class AuxiliaryConfig(Section):
    """Softmax cross entropy of the auxiliary head's logits."""

    weight: Annotated[float, Field(ge=0)] = 0.4


class MaskConfig(Section):
    """Sigmoid focal loss of the class masks (ECENet)."""

    weight: Annotated[float, Field(ge=0)] = 5.0
    ignore_as_negative: bool = False  # true: ignored pixels count as "not this class", here and in the dice loss


class DiceConfig(Section):
    """Dice loss of the class masks (ECENet)."""

    weight: Annotated[float, Field(ge=0)] = 2.0


class DiversityConfig(Section):
    """Diversity loss of the reconstructed features (ECENet)."""

    weight: Annotated[float, Field(ge=0)] = 0.2


Margin = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ConsistencyConfig(Section):
    """Class-aware consistency of a decoder's features (C-S Net); any decoder can have it."""

    weight: Annotated[float, Field(ge=0)] = 0.5  # of intra + inter; 0: reported, but not trained
    distance: Literal["cosine", "euclidean"] = "cosine"
    scope: Literal["image", "batch"] = "image"  # where a class's centre is taken
    min_pixels: Count = 8  # pixels of a class, at the features' size, from which on it takes part
    intra_margin: Margin | None = None  # null: 0.05 with cosine, 0.5 with euclidean
    inter_margin: Margin | None = None  # null: 0.1 with cosine, 1.5 with euclidean

    @model_validator(mode="after")
    def _reachable(self) -> "ConsistencyConfig":
        most = {"intra_margin": 2.0, "inter_margin": 1.0}  # cosine distance and similarity end there
        for name, limit in most.items():
            margin = getattr(self, name)
            if self.distance == "cosine" and margin is not None and margin > limit:
                raise ValueError(f"{name} {margin} is out of reach of distance cosine; at most {limit}, or euclidean")
        return self


class AssignmentConfig(Section):
    """Softmax cross entropy of the pixels' assignment to prototypes, mean over the blocks of CPT."""

    weight: Annotated[float, Field(ge=0)] = 0.4


class LossesConfig(Section):
    """One entry per part; a part that is not named here has its default weight."""

    ce: CrossEntropyConfig | None = None
    aux: AuxiliaryConfig | None = None
    mask: MaskConfig | None = None
    dice: DiceConfig | None = None
    diversity: DiversityConfig | None = None
    consistency: ConsistencyConfig | None = None
    assignment: AssignmentConfig | None = None


# ------------------------------------------------------------------------------------ optimizer, schedule
class OptimizerBase(Section):
    """Keys that all optimizers share."""

    lr: Positive  # for the total batch size of this config
    weight_decay: Annotated[float, Field(ge=0)] = 0.01  # not applied to norms, biases and position tables
    decoder_lr_multiplier: Positive = 1.0


class SGDConfig(OptimizerBase):
    """Stochastic gradient descent with momentum; weight decay is added to the gradient."""

    name: Literal["sgd"]
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9


class AdamWConfig(OptimizerBase):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019)."""

    name: Literal["adamw"]
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = [
        0.9,
        0.999,
    ]
    eps: Positive = 1e-8


OptimizerConfig = Annotated[SGDConfig | AdamWConfig, Field(discriminator="name")]


class ScheduleConfig(Section):
    """Learning rate over the iterations: linear warm-up, then decay to ``min_lr`` at the last iteration."""

    name: Literal["poly", "cosine", "constant"] = "poly"
    power: Positive = 0.9  # of `poly`
    min_lr: Annotated[float, Field(ge=0)] = 0.0
    warmup_iterations: Natural = 0
    warmup_ratio: Share = 1e-6  # the warm-up starts at this share of the learning rate


# ---------------------------------------------------------------------------------- training, evaluation
class LossScaleConfig(Section):
    """Dynamic loss scaling of fp16: halved at an overflow, doubled after ``window`` good updates in a row."""

    initial: Annotated[float, Field(ge=1, le=2**24)] = 65536.0
    window: Count = 1000


class AverageConfig(Section):
    """Exponential moving average of the weights."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9998  # share of the old average at an update


class TrainConfig(Section):
    """The training loop."""

    iterations: Count
    batch_size: Count  # total per update: over all workers and all accumulated parts
    accumulate: Count = 1  # parts into which the batch of an update is divided, one after the other
    eval_every: Natural = 0  # iterations; 0 = never
    checkpoint_every: Count = 1000
    log_every: Count = 50
    seed: Natural = 0
    amp: Literal["O0", "O2", "O3", "bf16"] = "O0"  # fp32, fp16, fp16 through batch norm too, bfloat16
    loss_scale: LossScaleConfig = LossScaleConfig()  # of O2 and O3
    sink_size: Natural = 0  # updates per call on Ascend and GPU, fed from the device's queue; 0 = hand over each batch
    ema: AverageConfig | None = None  # moving average of the weights, which is then evaluated and kept as best
    clip_norm: Positive | None = None  # largest global norm of the gradient
    max_bad_steps: Natural = 0  # steps in a row with a non-finite loss or gradient that are skipped

    @model_validator(mode="after")
    def _divisible(self) -> "TrainConfig":
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of accumulate {self.accumulate}")
        if self.sink_size:
            if self.accumulate > 1:
                raise ValueError(f"sink_size {self.sink_size} and accumulate {self.accumulate} exclude each other")
            for name in ("iterations", "eval_every", "checkpoint_every", "log_every"):
                if getattr(self, name) % self.sink_size:
                    raise ValueError(f"{name} {getattr(self, name)} is not a multiple of sink_size {self.sink_size}")
        return self


class EvalConfig(Section):
    """The protocol of evaluation; printed beside every result."""

    mode: Literal["whole", "slide"] = "whole"
    crop: Size | None = None  # window of `slide`
    stride: Size | None = None  # step of `slide`
    scales: Annotated[list[Positive], Field(min_length=1)] = [1.0]
    flip: bool = False

    @model_validator(mode="after")
    def _window(self) -> "EvalConfig":
        if self.mode == "slide":
            if self.crop is None or self.stride is None:
                raise ValueError("mode slide needs crop and stride, each [height, width]")
            if any(s > c for s, c in zip(self.stride, self.crop, strict=True)):
                raise ValueError(f"stride {self.stride} is larger than crop {self.crop} and would skip pixels")
        return self


class DeviceConfig(Section):
    """Where and how the network runs."""

    target: Literal["auto", "CPU", "GPU", "Ascend"] = "auto"
    mode: Literal["graph", "pynative"] = "graph"


class Config(Section):
    """A whole experiment."""

    data: DataConfig
    model: ModelConfig
    losses: LossesConfig = LossesConfig()
    optimizer: OptimizerConfig
    schedule: ScheduleConfig = ScheduleConfig()
    train: TrainConfig
    eval: EvalConfig = EvalConfig()
    device: DeviceConfig = DeviceConfig()
