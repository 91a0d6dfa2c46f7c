"""What the page asks for: segmentations, pixels, maps. All of it runs in the one thread that computes."""

import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps

from src.api import Model
from src.data.decoding import encode_png
from src.errors import UserError
from src.explore.folder import Folder, Picture
from src.explore.inside import PROBABILITY, READERS, Choice, Group, Inside, probabilities
from src.report.images import colorize

KEPT = 500e6  # bytes of probabilities that are kept for images seen before


@dataclass
class Result:
    """What is known of one image."""

    picture: Picture
    probabilities: np.ndarray  # fp32 [K, H, W]
    seconds: float
    inside: Inside | None = None  # None: not asked for yet

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        height, width = self.probabilities.shape[1:]
        return height, width

    @property
    def ids(self) -> np.ndarray:
        """The class of each pixel, [H, W]."""
        return self.probabilities.argmax(0)


class Explorer:
    """A model and images to look at. Errors that the visitor caused are `UserError`."""

    def __init__(self, model: Model, folder: Folder):
        self.model = model
        self.folder = folder
        self._results: OrderedDict[str, Result] = OrderedDict()

    def describe(self) -> dict:
        """The model and the images there are."""
        decoder = self.model.config.model.decoder.name
        colors = [f"rgb({red}, {green}, {blue})" for red, green, blue in self.model.colors]
        return {
            "model": str(self.model.path),
            "decoder": decoder if self.model.explains and decoder in READERS else None,
            "classes": [{"name": name, "color": color} for name, color in zip(self.model.classes, colors, strict=True)],
            "images": self.folder.keys(),
        }

    def segment(self, key: str) -> dict:
        """Size, notes, time, the share of each class that is there, largest first, and the maps there are."""
        result = self._result(key)
        height, width = result.size
        counts = np.bincount(result.ids.ravel(), minlength=len(self.model.classes))
        shares = [[int(k), counts[k] / counts.sum()] for k in np.argsort(-counts, kind="stable") if counts[k]]
        return {
            "height": height,
            "width": width,
            "notes": list(result.picture.notes),
            "seconds": result.seconds,
            "shares": shares,
            "groups": _listed(result),
        }

    def image(self, key: str) -> bytes:
        """The image, as PNG."""
        return encode_png(self._result(key).picture.rgb)

    def classes(self, key: str) -> bytes:
        """The classes in their colors, as PNG."""
        return encode_png(colorize(self._result(key).ids, self.model.colors))

    def pixel(self, key: str, pixel: tuple[int, int]) -> dict:
        """Probability of each class at a pixel, and the attention of each block where `inside` was asked for."""
        result = self._result(key)
        choice = self._choice(result, 0, pixel)
        attention = result.inside.attention_of(choice) if result.inside else {}
        return {
            "probabilities": result.probabilities[:, pixel[0], pixel[1]].tolist(),
            "attention": {block: values.tolist() for block, values in attention.items()},
        }

    def inside(self, key: str) -> dict:
        """The maps that the decoder shows, and how alike its prototypes are."""
        result = self._result(key)
        inside = self._look_inside(result)
        alike = {block: np.round(values, 3).tolist() for block, values in inside.prototypes.items()}
        return {"groups": _listed(result), "prototypes": alike}

    def map(self, key: str, name: str, category: int, pixel: tuple[int, int]) -> tuple[bytes, float, float]:
        """A map in its colors, as PNG, and the values of the first and the last color."""
        result = self._result(key)
        choice = self._choice(result, category, pixel)
        if name != PROBABILITY and self.model.explains:
            self._look_inside(result)  # what another page has crowded out is computed again
        found = next((group.maps[name] for group in _groups(result) if name in group.maps), None)
        if found is None:
            raise UserError(f"{name}: this model has no such map")
        values = found.values(choice)
        low, high = found.limits or (float(values.min()), float(values.max()))
        drawn = colormaps[found.colors]((values - low) / max(high - low, 1e-12), bytes=True)
        return encode_png(drawn[..., :3]), low, high

    def _look_inside(self, result: Result) -> Inside:
        if result.inside is None:
            explanation = self.model.explain(result.picture.rgb)
            result.inside = READERS[explanation.decoder](explanation.arrays)
        return result.inside

    def _choice(self, result: Result, category: int, pixel: tuple[int, int]) -> Choice:
        height, width = result.size
        if not (0 <= pixel[0] < height and 0 <= pixel[1] < width):
            raise UserError(f"pixel {pixel}: lies outside the image of {height}x{width}")
        if not 0 <= category < len(self.model.classes):
            raise UserError(f"class {category}: this model has {len(self.model.classes)} classes")
        return Choice(category, pixel, result.size)

    def _result(self, key: str) -> Result:
        """Segment an image, or remember it; the results used last are kept."""
        if key not in self._results:
            picture = self.folder.read(key)
            start = time.perf_counter()
            values = self.model.predict(picture.rgb).probabilities
            self._results[key] = Result(picture, values, time.perf_counter() - start)
        self._results.move_to_end(key)
        while len(self._results) > 1 and sum(one.probabilities.nbytes for one in self._results.values()) > KEPT:
            self._results.popitem(last=False)
        return self._results[key]


def _groups(result: Result) -> list[Group]:
    return [probabilities(result.probabilities), *(result.inside.groups if result.inside else [])]


def _listed(result: Result) -> list[dict]:
    return [
        {
            "title": group.title,
            "of": group.of,
            "maps": {name: {"title": one.title, "colors": one.colors} for name, one in group.maps.items()},
        }
        for group in _groups(result)
    ]
