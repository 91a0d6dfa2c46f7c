"""Images of many sizes through few graphs, for backbones that are compiled for one size (Swin, MiT).

An image lies in the top left corner of a canvas of zeros, and the backbone's `canvas_tables` tell it where the image
ends. Its maps are then cut to the image, so that decoders never see the canvas: they pool over all pixels (PSP, CPT,
ECENet), attend to all of them (CPT) and resize maps by ratios that depend on the image's size. They need no canvas, as
they compile once for any size.
"""

from collections.abc import Iterable

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

Size = tuple[int, int]

BUDGET = 4  # canvases of a plan; with the decoder's graphs a network is compiled six times at most
STEP = 32  # the sides of a canvas are multiples of it
MOST_WASTE = 2.0  # area of a canvas relative to the image's, above which an image without a plan gets one of its own
HEADROOM = 1.25  # factor by which canvases grow once there are as many as the budget allows


def plan_canvases(sizes: Iterable[Size], budget: int = BUDGET) -> list[Size]:
    """At most ``budget`` canvases so that each of ``sizes`` fits into one, with little area in all.

    Starts with a canvas for each size and joins the two whose joint canvas adds the least area until there are few.
    """
    found, counts = np.unique([_round(size) for size in sizes], axis=0, return_counts=True)
    while len(found) > budget:
        joint = np.maximum(found[:, None], found[None])
        before = counts * found.prod(1)
        added = joint.prod(2) * (counts[:, None] + counts) - before[:, None] - before
        np.fill_diagonal(added, added.max() + 1)
        first, second = np.unravel_index(added.argmin(), added.shape)
        found[first], counts[first] = joint[first, second], counts[first] + counts[second]
        found, counts = np.delete(found, second, 0), np.delete(counts, second)
    return [(int(height), int(width)) for height, width in found]


class Canvases:
    """The canvases of one network: those of a plan, and where an image has none, new ones as they are needed."""

    def __init__(self) -> None:
        self.sizes: list[Size] = []

    def plan(self, sizes: Iterable[Size]) -> None:
        """Prepare for images of these sizes."""
        missing = [size for size in sizes if not self._around(size)]
        if missing:
            self.sizes += plan_canvases(missing, max(1, BUDGET - len(self.sizes)))

    def choose(self, size: Size) -> Size:
        """The smallest canvas that holds an image of ``size``; made if there is none that suits."""
        around = self._around(size)
        if around and (len(self.sizes) >= BUDGET or around[0][0] * around[0][1] <= MOST_WASTE * size[0] * size[1]):
            return around[0]
        new = _round(size)
        if len(self.sizes) >= BUDGET:  # nothing holds it: grow, so that this happens a few times at most
            new = _round([HEADROOM * max(side) for side in zip(size, *self.sizes, strict=True)])
        self.sizes.append(new)
        return new

    def _around(self, size: Size) -> list[Size]:
        around = [one for one in self.sizes if one[0] >= size[0] and one[1] >= size[1]]
        return sorted(around, key=lambda one: one[0] * one[1])


def _round(size: Iterable[float]) -> Size:
    height, width = (-int(-side // STEP) * STEP for side in size)
    return height, width


class _OnCanvas(nn.Cell):
    """The backbone in a cell of its own, whose graphs are not those of the whole network."""

    def __init__(self, backbone: nn.Cell):
        super().__init__(auto_prefix=False)
        self.backbone = backbone

    def construct(self, canvas, *tables):
        """Canvases [B, 3, H, W] and the backbone's tables -> four maps."""
        return self.backbone(canvas, tables)


class CanvasBackbone:
    """A backbone that is compiled once per canvas instead of once per size.

    Args:
        batch: images of every call, some of zeros where there are fewer; another number would be another graph.
    """

    def __init__(self, backbone: nn.Cell, canvases: Canvases, batch: int = 1):
        self.backbone, self.canvases, self.batch = backbone, canvases, batch
        self.cell = _OnCanvas(backbone)

    def __call__(self, images: np.ndarray) -> list[Tensor]:
        """Images fp32 [B, 3, h, w], B up to `batch` -> their four maps, [B, C_i, ceil(h / s_i), ceil(w / s_i)]."""
        count, channels, height, width = images.shape
        rows, columns = self.canvases.choose((height, width))
        canvas = np.zeros((self.batch, channels, rows, columns), np.float32)
        canvas[:count, :, :height, :width] = images
        tables = self.backbone.canvas_tables((height, width), (rows, columns))
        self.cell.set_train(False)
        maps = self.cell(Tensor(canvas), *map(Tensor, tables))
        return [
            Tensor(np.ascontiguousarray(one.asnumpy()[:count, :, : -(-height // stride), : -(-width // stride)]))
            for one, stride in zip(maps, self.backbone.strides, strict=True)
        ]


def any_shape(*channels: int) -> list[Tensor]:
    """Placeholders of maps of these channels for ``set_inputs``: any batch, height and width."""
    return [Tensor(shape=[None, width, None, None], dtype=ms.float32) for width in channels]
