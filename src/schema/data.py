"""Keys of ``data``: the data set, its records, transforms, batches."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from src.schema.base import Count, Natural, NonNegative, Positive, Section, Share, Sides, Size

Mean = Annotated[list[float], Field(min_length=3, max_length=3, title="[R, G, B]")]
Std = Annotated[list[Positive], Field(min_length=3, max_length=3, title="[R, G, B]")]
Range = Annotated[list[Positive], Field(min_length=2, max_length=2, title="[lowest, highest]")]


# ---------------------------------------------------------------------------------------------- transforms
class RandomScaleConfig(Section):
    """Resize by a random ratio, drawn uniformly."""

    name: Literal["random_scale"]
    ratio: Range = [0.5, 2.0]
    """Range of the ratio."""
    base: Sides | None = None
    """Size, in pixels, into which the image is fitted before the ratio counts; null: `data.base_size`."""


class RandomCropConfig(Section):
    """Cut `data.crop` at a random place; a side that is shorter is kept whole (`pad` fills it up)."""

    name: Literal["random_crop"]
    max_class_share: Share = 1.0
    """Share of the labeled pixels; while one class has more, another place is drawn, up to 10 times."""


class RandomFlipConfig(Section):
    """Mirror left to right."""

    name: Literal["random_flip"]
    probability: Share = 0.5
    """Probability that a sample is mirrored."""


class PhotometricDistortionConfig(Section):
    """Random brightness, contrast, saturation and hue, each applied with probability one half."""

    name: Literal["photometric_distortion"]
    brightness: NonNegative = 32
    """Largest value added or taken away, out of 255."""
    contrast: Share = 0.5
    """Value c of the factor's range, 1 - c to 1 + c."""
    saturation: Share = 0.5
    """Value s of the factor's range, 1 - s to 1 + s."""
    hue: Annotated[float, Field(ge=0, le=180)] = 18
    """Largest turn of the hue, in degrees."""


class PadConfig(Section):
    """Fill up to `data.crop` at the right and bottom: the image with the mean color, the label with 255 (ignored)."""

    name: Literal["pad"]


class ResizeConfig(Section):
    """Resize to a fixed size, or to the largest one with the image's aspect ratio."""

    name: Literal["resize"]
    size: Size | None = None
    """Size in pixels; null, allowed with `keep_ratio` only: `data.base_size`."""
    keep_ratio: bool = False
    """Keep the aspect ratio: the short and the long side fit into those of `size`, whichever way the image lies."""

    @model_validator(mode="after")
    def _sized(self) -> "ResizeConfig":
        if self.size is None and not self.keep_ratio:
            raise ValueError("resize needs size: [height, width], or keep_ratio: true for data.base_size")
        return self


class NormalizeConfig(Section):
    """(image - `data.mean`) / `data.std`; always the last one."""

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
    """The synthetic scenes of `name: shapes`."""

    train: Count = 400
    """Scenes for training."""
    val: Count = 80
    """Scenes for evaluation."""
    size: Size = [128, 128]
    """Size of a scene, in pixels."""
    seed: Natural = 0
    """Seed from which the scenes are drawn."""


class DataConfig(Section):
    """Where the data is and how it becomes batches."""

    name: Literal["ade20k", "camvid", "cityscapes", "coco_stuff", "folder", "pascal_context", "shapes"]
    """The data set; `folder` is your own (docs/data.md), `shapes` draws synthetic scenes."""
    root: str | None = None
    """Folder of the raw images; not needed where the records exist, nor for `shapes`."""
    records: str
    """Folder of the MindRecord files; written from `root` when missing."""
    classes: str | None = None
    """YAML file with the class names and the label map, for `folder` only; null: `classes.yaml` in `root`."""
    allow_empty: list[str] | Literal["all"] = []
    """Classes that may have no pixel in a split; `all`: any."""
    shapes: ShapesConfig = ShapesConfig()
    train_split: str = "train"
    """Split to train on."""
    val_split: str = "val"
    """Split to evaluate on."""
    shards: Count = 1
    """MindRecord files per split."""
    crop: Size
    """Size of a training sample, in pixels."""
    base_size: Sides | None = None
    """Size, in pixels, into which `random_scale` and `resize` fit an image; null: `random_scale` takes the image's
    own, and `resize` needs its `size`."""
    mean: Mean = [123.675, 116.28, 103.53]
    """Mean color, of 0 to 255; belongs to the backbone's weights."""
    std: Std = [58.395, 57.12, 57.375]
    """Standard deviation of the colors, of 0 to 255; belongs to the backbone's weights."""
    train_transforms: list[TransformConfig] = [
        RandomScaleConfig(name="random_scale"),
        RandomCropConfig(name="random_crop", max_class_share=0.75),
        RandomFlipConfig(name="random_flip"),
        PhotometricDistortionConfig(name="photometric_distortion"),
        PadConfig(name="pad"),
        NormalizeConfig(name="normalize"),
    ]
    """Transforms of a training sample, in this order."""
    eval_transforms: list[TransformConfig] = [NormalizeConfig(name="normalize")]
    """Transforms of an image in evaluation, `resize` and `normalize` only; the label stays as it is."""
    workers: Count = 2
    """Decoding threads; never more than there are cores."""
