"""What each decoder has to show of its inside, as maps over the image, bars of one pixel and prototypes.

The arrays are those of ``explain`` of one image, as in `src.explain`, which draws them into files.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

from src.explain.cpt import LEVELS as BLOCKS
from src.explain.cpt import prototype_similarity
from src.explain.csnet import similarity_to
from src.explain.ecenet import LEVELS, peaks
from src.explain.subject import place_in_map

PROBABILITY = "probability"  # key of the map that every model has
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Choice:
    """What the visitor of the page has chosen in an image."""

    category: int
    pixel: tuple[int, int]  # (row, column)
    size: tuple[int, int]  # (height, width) of the image


@dataclass(frozen=True)
class Map:
    """One map over the image."""

    title: str
    values: Callable[[Choice], np.ndarray]  # -> [h, w]
    limits: tuple[float, float] | None = (0.0, 1.0)  # values of the first and the last color; None: the map's own
    colors: str = "magma"  # Matplotlib's name


@dataclass(frozen=True)
class Group:
    """Maps that belong together."""

    title: str
    of: str  # what they change with: "image", "category" or "pixel"
    maps: dict[str, Map]  # by key


@dataclass(frozen=True)
class Inside:
    """All that a decoder shows of one image."""

    groups: list[Group]
    attention: dict[str, np.ndarray] = field(default_factory=dict)  # block: [H, W, K] over the classes' prototypes
    prototypes: dict[str, np.ndarray] = field(default_factory=dict)  # block: cosine similarities [K, K]

    def attention_of(self, choice: Choice) -> dict[str, np.ndarray]:
        """Per block, the attention [K] of the pixel to the prototype of each class."""
        return {
            block: values[place_in_map(choice.pixel, choice.size, values.shape[:2])]
            for block, values in self.attention.items()
        }


def ecenet(arrays: Arrays) -> Inside:
    """Masks of every level and, with feature reconstruction, where the diverse channels peak."""
    masks = {f"M{level}, stride {4 * 2**level}": arrays[f"mask_{level}"][0] for level in LEVELS}
    groups = [_masks(masks, "M3 + M2 + M1 + M0 (class branch)")]
    if "diversity_0" in arrays:
        maps = {
            f"diversity_{level}": _fixed(f"E{level}, stride {4 * 2**level}", peaks(arrays[f"diversity_{level}"][0]))
            for level in LEVELS
        }
        groups.append(Group("Diversity: log10 of the largest share of any channel / even share", "image", maps))
    return Inside(groups)


def cpt(arrays: Arrays) -> Inside:
    """Masks of every block; with prototypes, attention to them; with a memory, how alike they are."""
    masks = {f"M{level + 1}, stride {4 * 2 ** (level + 1)}": arrays[f"mask_{level}"][0] for level in BLOCKS}
    groups = [_masks(masks, "M3 + M2 + M1 (mask, dice loss)")]
    attention = {
        f"block {level}": arrays[f"attention_{level}"][0] for level in BLOCKS if f"attention_{level}" in arrays
    }
    if attention:
        maps = {f"attention_{block}": _of_category(block, values) for block, values in attention.items()}
        groups.append(Group("Attention of every pixel to the prototype of one class", "category", maps))
    alike = {f"block {i}": prototype_similarity(arrays[f"memory_{i}"]) for i in BLOCKS if f"memory_{i}" in arrays}
    return Inside(groups, attention, alike)


def csnet(arrays: Arrays) -> Inside:
    """Similarity of the C-S features of all pixels to the chosen one's."""
    features = arrays["consistent"][0]

    def similarity(choice: Choice) -> np.ndarray:
        return similarity_to(features, place_in_map(choice.pixel, choice.size, features.shape[1:]))

    maps = {"similarity": Map("C-S features", similarity, (-1.0, 1.0), "RdBu_r")}
    return Inside([Group("Cosine similarity to the chosen pixel", "pixel", maps)])


READERS: dict[str, Callable[[Arrays], Inside]] = {"ecenet": ecenet, "cpt": cpt, "csnet": csnet}


def probabilities(values: np.ndarray) -> Group:
    """The group that every model has: the probability of one class, from [K, H, W]."""
    maps = {PROBABILITY: Map("probability", lambda choice: values[choice.category])}
    return Group("Probability of one class", "category", maps)


def _masks(masks: dict[str, np.ndarray], total: str) -> Group:
    """Sigmoid of the raw masks [K, h, w] by title, coarse to fine, and of their sum on the finest map."""
    finest = list(masks.values())[-1].shape[:0:-1]
    maps = {f"mask_{i}": _mask(title, [mask], mask.shape[:0:-1]) for i, (title, mask) in enumerate(masks.items())}
    maps["mask_sum"] = _mask(total, list(masks.values()), finest)
    return Group("Mask of one class: sigmoid", "category", maps)


def _mask(title: str, masks: list[np.ndarray], size: tuple[int, ...]) -> Map:
    def values(choice: Choice) -> np.ndarray:
        total = sum(cv2.resize(mask[choice.category], size) for mask in masks)
        return 0.5 + 0.5 * np.tanh(total / 2)  # sigmoid

    return Map(title, values)


def _of_category(title: str, attention: np.ndarray) -> Map:
    return Map(title, lambda choice: attention[..., choice.category])


def _fixed(title: str, values: np.ndarray) -> Map:
    return Map(title, lambda choice: values, None, "viridis")
