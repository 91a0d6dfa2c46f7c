"""Keys of ``losses``: one section per part."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from src.schema.base import Count, Section, Share


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
    scope: Literal["image", "batch"] = "image"  # where a class's center is taken
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
