"""Keys of ``data``: the data set, its records, transforms, batches."""

from typing import Annotated, Literal

from pydantic import Field

from src.schema.base import Count, Natural, Positive, Section, Sides, Size
from src.schema.transforms import (
    NormalizeConfig,
    PadConfig,
    PhotometricDistortionConfig,
    RandomCropConfig,
    RandomFlipConfig,
    RandomScaleConfig,
    TransformConfig,
)

Mean = Annotated[list[float], Field(min_length=3, max_length=3, title="[R, G, B]")]
Std = Annotated[list[Positive], Field(min_length=3, max_length=3, title="[R, G, B]")]


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

    name: Literal[
        "ade20k", "camvid", "cityscapes", "coco_stuff", "coco_stuff10k", "folder", "pascal_context", "voc2012",
        "shapes"]  # fmt: skip
    """The data set; `folder` is your own (docs/data.md), `shapes` draws synthetic scenes."""
    root: str | None = None
    """Folder of the raw images; not needed where the records exist, nor for `shapes`."""
    records: str
    """Folder of the MindRecord files; written from `root` when missing."""
    classes: str | None = None
    """YAML file with the class names and the label map, for `folder` only; null: `classes.yaml` in `root`."""
    label_form: Literal["ids", "train_ids"] = "ids"
    """Which files of Cityscapes' labels to read: `labelIds` or `labelTrainIds`; other sets have one form only."""
    allow_empty: list[str] | Literal["all"] = []
    """Classes that may have no pixel in a split; `all`: any."""
    shapes: ShapesConfig = ShapesConfig()
    train_split: str = "train"
    """Split to train on."""
    val_split: str = "val"
    """Split to evaluate on."""
    shards: Annotated[int, Field(ge=1, le=1000)] | None = None
    """MindRecord files per split; null: one per GiB. An interrupted preparation continues after the last whole one."""
    verify: Literal["sample", "full"] = "sample"
    """Check of the records at the start: sizes of all files and the checksums of 64 MiB, or all checksums."""
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
