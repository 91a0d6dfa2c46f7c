"""Keys of ``losses``: one section per part."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from src.schema.base import Count, NonNegative, Section, Share

Margin = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class OhemConfig(Section):
    """Online hard example mining: only pixels predicted below `threshold` count, but at least `min_kept`; with several
    workers each chooses among its own."""

    threshold: Share = 0.7
    """Predicted probability of the true class below which a pixel is hard."""
    min_kept: Count = 100_000
    """Smallest number of pixels per batch that count, the hardest first."""


class CrossEntropyConfig(Section):
    """Softmax cross entropy of the final logits."""

    weight: NonNegative = 1.0
    """Factor in the total."""
    class_weights: list[NonNegative] | None = None
    """One factor per class, in the order of the classes; null: all alike."""
    ohem: OhemConfig | None = None


class AuxiliaryConfig(Section):
    """Softmax cross entropy of the auxiliary head's logits (FCN, PSP, C-S Net on either)."""

    weight: NonNegative = 0.4
    """Factor in the total."""


class ConsistentCrossEntropyConfig(Section):
    """Softmax cross entropy of the C-S features' own logits (C-S Net with `classify_consistent`)."""

    weight: NonNegative = 0.4
    """Factor in the total."""


class MaskConfig(Section):
    """Sigmoid focal loss of the class masks (ECENet, CPT)."""

    weight: NonNegative = 5.0
    """Factor in the total."""
    ignore_as_negative: bool = True
    """Count ignored pixels as "not this class", here and in the dice loss; false: leave them out."""


class DiceConfig(Section):
    """Dice loss of the class masks (ECENet, CPT)."""

    weight: NonNegative = 2.0
    """Factor in the total."""


class DiversityConfig(Section):
    """Diversity loss of the reconstructed features (ECENet)."""

    weight: NonNegative = 0.2
    """Factor in the total."""
    ramp: Share = 0.0
    """Share of the training over which the weight rises from 0 to its value; 0: it has its value from the start."""


class ConsistencyConfig(Section):
    """Class-aware consistency of a decoder's features (C-S Net); naming it gives it to any decoder."""

    weight: NonNegative = 0.5
    """Factor of intra + inter in the total; with 0 both are logged, but nothing is trained by them."""
    distance: Literal["cosine", "euclidean"] = "cosine"
    """How far two features are apart: by their angle, or as they are."""
    scope: Literal["image", "batch"] = "image"
    """Where the center of a class is taken: over each image, or over the whole batch of all workers."""
    min_pixels: Count = 8
    """Pixels of a class, at the features' size, from which on it takes part."""
    purity: Share = 0.75
    """Share of a cell's labeled pixels that its most frequent class must have for the cell to take part; the feature
    report and the class means read it too."""
    class_weighting: Literal["mean", "sqrt", "pixels"] = "mean"
    """What weights a class: nothing, the root of the number of its pixels, or that number; a pair of classes has the
    product of their weights."""
    detach_centers: bool = False
    """Let no gradient of intra pass through the centers; those of inter do in any case."""
    ramp: Share = 0.0
    """Share of the training over which the weight rises linearly from 0; 0: no ramp."""
    intra_margin: Margin | None = None
    """Distance to its center up to which a pixel costs nothing; null: 0.05 with `cosine`, 0.5 with `euclidean`."""
    inter_margin: Margin | None = None
    """With `cosine` the similarity up to which two centers cost nothing, null: 0.1; with `euclidean` half the distance
    from which on they cost nothing, null: 1.5."""

    @model_validator(mode="after")
    def _reachable(self) -> "ConsistencyConfig":
        most = {"intra_margin": 2.0, "inter_margin": 1.0}  # cosine distance and similarity end there
        for name, limit in most.items():
            margin = getattr(self, name)
            if self.distance == "cosine" and margin is not None and margin > limit:
                raise ValueError(f"{name} {margin} is out of reach of distance cosine; at most {limit}, or euclidean")
        return self


class RegionDiceConfig(Section):
    """Soft Dice loss of the final logits: mean over the classes that the batch of all workers shows; naming it gives it
    to any decoder."""

    weight: NonNegative = 1.0
    """Factor in the total."""


class LovaszConfig(Section):
    """Lovász-softmax of the final logits, a surrogate of the IoU: mean over the classes present; naming it gives it to
    any decoder."""

    weight: NonNegative = 1.0
    """Factor in the total."""
    scope: Literal["batch", "image"] = "batch"
    """Where a class is taken as one region: over the worker's whole batch, or over each image."""


class FocalConfig(Section):
    """Focal loss of the final logits, in its softmax form; naming it gives it to any decoder, beside `ce` (whose weight
    may be 0)."""

    weight: NonNegative = 1.0
    """Factor in the total."""
    gamma: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    """Exponent γ of a pixel's factor (1 - p)^γ, p the predicted probability of its class; 0: cross entropy."""
    class_weights: list[NonNegative] | None = None
    """One factor per class, in the order of the classes; null: all alike."""


class LossesConfig(Section):
    """The parts of the loss. Every part that the decoder has is trained, with its defaults where it is not named here;
    naming a part that the decoder does not have is an error, but for those that any decoder may have."""

    ce: CrossEntropyConfig | None = None
    aux: AuxiliaryConfig | None = None
    consistent_ce: ConsistentCrossEntropyConfig | None = None
    mask: MaskConfig | None = None
    dice: DiceConfig | None = None
    diversity: DiversityConfig | None = None
    consistency: ConsistencyConfig | None = None
    region_dice: RegionDiceConfig | None = None
    lovasz: LovaszConfig | None = None
    focal: FocalConfig | None = None
