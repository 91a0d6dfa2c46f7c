"""Keys of ``data``: the data set, its records, transforms, batches."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from src.schema.base import Count, Natural, Positive, Section, Share, Size, Triple


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
    """Fill up to ``data.crop`` at the right and bottom: image with the mean color, label with 255."""

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
