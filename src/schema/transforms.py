"""Transforms of image and label by name: entries of ``data.train_transforms`` and ``data.eval_transforms``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from src.schema.base import Count, NonNegative, Positive, Section, Share, Sides, Size


def _ascending(ends: list) -> list:
    if ends[0] > ends[1]:
        raise ValueError("expected [lowest, highest]")
    return ends


_ENDS = Field(min_length=2, max_length=2, title="[lowest, highest]")
Range = Annotated[list[Positive], _ENDS, AfterValidator(_ascending)]
CountRange = Annotated[list[Count], _ENDS, AfterValidator(_ascending)]
ShareRange = Annotated[list[Annotated[float, Field(gt=0, le=1)]], _ENDS, AfterValidator(_ascending)]


# ------------------------------------------------------------------------------------------------ geometry
class RandomScaleConfig(Section):
    """Resize by a random ratio, drawn uniformly."""

    name: Literal["random_scale"]
    ratio: Range = [0.5, 2.0]
    """Range of the ratio."""
    base: Sides | None = None
    """Size, in pixels, into which the image is fitted before the ratio counts; null: `data.base_size`."""


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


class RandomFlipConfig(Section):
    """Mirror left to right."""

    name: Literal["random_flip"]
    probability: Share = 0.5
    """Probability that a sample is mirrored."""


class RandomVerticalFlipConfig(Section):
    """Mirror top to bottom, for images without an above and below, such as aerial ones."""

    name: Literal["random_vertical_flip"]
    probability: Share = 0.5
    """Probability that a sample is mirrored."""


class RandomRotationConfig(Section):
    """Rotate about the center; the size stays, and what comes in has the mean color and the label 255 (ignored)."""

    name: Literal["random_rotation"]
    degrees: Annotated[float, Field(ge=0, le=180)] = 10
    """Largest angle to either side, in degrees."""
    probability: Share = 0.5
    """Probability that a sample is rotated."""


# ---------------------------------------------------------------------------------------------------- crops
class RandomCropConfig(Section):
    """Cut `data.crop` at a random place; a side that is shorter is kept whole (`pad` fills it up)."""

    name: Literal["random_crop"]
    max_class_share: Share = 1.0
    """Share of the labeled pixels; while one class has more, another place is drawn, up to 10 times."""


class RandomResizedCropConfig(Section):
    """Cut a window of random area and aspect ratio and resize it to `data.crop`."""

    name: Literal["random_resized_crop"]
    scale: ShareRange = [0.08, 1.0]
    """Range of the window's area, as a share of the image's."""
    ratio: Range = [0.75, 1.3333]
    """Range of the window's width divided by its height."""


class ClassBalancedCropConfig(Section):
    """Cut `data.crop` around a random pixel of a class that is drawn among those the image has, rare ones more often; a
    side that is shorter is kept whole (`pad` fills it up)."""

    name: Literal["class_balanced_crop"]
    rarity: NonNegative = 0.5
    """Exponent r of a class's weight f^-r, f its share in the training set: 0 draws all classes of the image alike, 1
    shows all classes of the set about equally often."""


# ---------------------------------------------------------------------------------------------------- color
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


class ColorJitterConfig(Section):
    """Random brightness, contrast, saturation and hue, all four together, in one color matrix."""

    name: Literal["color_jitter"]
    brightness: NonNegative = 0.2
    """Value b of the factor's range, 1 - b (at least 0) to 1 + b."""
    contrast: NonNegative = 0.2
    """Value c of the same range for the distance from the image's mean gray."""
    saturation: NonNegative = 0.2
    """Value s of the same range for the distance from the pixel's gray."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """Largest turn of the hue, as a share of the color circle."""
    probability: Share = 0.5
    """Probability that a sample is changed."""


class RandomGrayConfig(Section):
    """Take the color away."""

    name: Literal["random_gray"]
    probability: Share = 0.1
    """Probability that a sample becomes gray."""


class GaussianBlurConfig(Section):
    """Blur the image."""

    name: Literal["gaussian_blur"]
    sigma: Range = [0.1, 2.0]
    """Range of the standard deviation, in pixels."""
    probability: Share = 0.5
    """Probability that a sample is blurred."""


class GaussianNoiseConfig(Section):
    """Add independent noise to every number of the image."""

    name: Literal["gaussian_noise"]
    std: Range = [3.2, 7.1]
    """Range of the standard deviation, out of 255."""
    probability: Share = 0.5
    """Probability that a sample gets noise."""


# -------------------------------------------------------------------------------------------------- filling
class CoarseDropoutConfig(Section):
    """Fill random rectangles with the mean color."""

    name: Literal["coarse_dropout"]
    holes: CountRange = [1, 2]
    """Range of their number."""
    height: ShareRange = [0.1, 0.2]
    """Range of their height, as a share of the image's."""
    width: ShareRange = [0.1, 0.2]
    """Range of their width, as a share of the image's."""
    ignore: bool = False
    """Set the label below to 255 (ignored); false: the label stays."""
    probability: Share = 0.5
    """Probability that a sample gets holes."""


class PadConfig(Section):
    """Fill up to `data.crop` at the right and bottom: the image with the mean color, the label with 255 (ignored)."""

    name: Literal["pad"]


class NormalizeConfig(Section):
    """(image - `data.mean`) / `data.std`; always the last one."""

    name: Literal["normalize"]


TransformConfig = Annotated[
    RandomScaleConfig
    | ResizeConfig
    | RandomFlipConfig
    | RandomVerticalFlipConfig
    | RandomRotationConfig
    | RandomCropConfig
    | RandomResizedCropConfig
    | ClassBalancedCropConfig
    | PhotometricDistortionConfig
    | ColorJitterConfig
    | RandomGrayConfig
    | GaussianBlurConfig
    | GaussianNoiseConfig
    | CoarseDropoutConfig
    | PadConfig
    | NormalizeConfig,
    Field(discriminator="name"),
]
