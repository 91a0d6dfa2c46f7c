"""Class ids of a large image, strip by strip of rows, so that no logits [K, H, W] exist.

Of a network, the logits of all windows are kept at the decoder's stride, 1/16 of the full size each at stride 4. An
exported file gives full size: its windows are run when a strip needs them, and dropped after the last strip that does.
For each strip, what it needs of every view is enlarged, averaged over windows and views, and reduced to ids. The
numbers are those of `src.inference.protocol` up to rounding.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from src.inference.views import View, Window, resize, softmax

STRIP_BYTES = 1 << 26  # of a strip's logits; about five such arrays exist at a time


class _Part:
    """A view with the logits [K, h', w'] of those of its windows that are still needed."""

    def __init__(self, view: View, logits: Iterable[np.ndarray]):
        self.view = view
        self.rest = zip(view.windows, logits, strict=False)  # strict asks for one more, which may run the network
        self.kept = [next(self.rest)]
        self.num_classes = len(self.kept[0][1])

    def between(self, start: int, stop: int) -> list[tuple[Window, np.ndarray]]:
        """All windows with rows from ``start`` to ``stop`` of the view, and perhaps others; both may only grow."""
        self.kept = [(window, own) for window, own in self.kept if window.top + window.height > start]
        while (not self.kept or self.kept[-1][0].top < stop) and (pair := next(self.rest, None)):
            self.kept.append(pair)
        return self.kept


def predict_by_strips(parts: list[tuple[View, Iterable[np.ndarray]]], size: Sequence[int], plain: bool) -> np.ndarray:
    """Classes uint8 [H, W] for ``size`` = (H, W).

    Args:
        parts: the views, each with the logits [K, h', w'] of its windows, of any resolution, in their order, which is
            from top to bottom; an iterator is asked for them as late as possible.
        plain: there is one view, and so no need for probabilities.
    """
    widest = max(size[1], *(view.size[1] for view, _ in parts))
    opened = [_Part(view, logits) for view, logits in parts]
    rows = max(1, STRIP_BYTES // (4 * opened[0].num_classes * widest))
    ids = np.empty(size, np.uint8)
    for first in range(0, size[0], rows):
        last = min(first + rows, size[0])
        total = np.zeros((), np.float32)
        for part in opened:
            strip = _strip_of_view(part, size, first, last)
            total = strip if plain else total + softmax(strip)
        ids[first:last] = total.argmax(axis=0)
    return ids


def _strip_of_view(part: _Part, size: Sequence[int], first: int, last: int) -> np.ndarray:
    """Rows ``first`` to ``last`` of a view's logits at ``size``, [K, last - first, W]."""
    view = part.view
    above, below, _ = _taps(view.size[0], size[0], first, last)
    start, stop = int(above[0]), int(below[-1]) + 1  # the view's rows that these rows are made of
    total = np.zeros((part.num_classes, stop - start, view.size[1]), np.float32)
    count = np.zeros(total.shape[1:], np.float32)
    for window, own in part.between(start, stop):
        upper, lower = max(start, window.top), min(stop, window.top + window.height)
        if upper >= lower:
            continue
        inside = np.s_[..., upper - start : lower - start, window.left : window.left + window.width]
        total[inside] += _enlarge(own, (window.height, window.width), upper - window.top, lower - window.top)
        count[inside] += 1
    total /= count
    strip = _enlarge(total, size, first, last, view.size[0], start)
    return strip[..., ::-1] if view.flipped else strip


def _enlarge(
    maps: np.ndarray, size: Sequence[int], first: int, last: int, length: int | None = None, start: int = 0
) -> np.ndarray:
    """Rows ``first`` to ``last`` of what `resize` makes of ``maps`` [K, h, w].

    ``maps`` may be the rows from ``start`` on of maps with ``length`` rows.
    """
    above, below, share = _taps(length or maps.shape[1], size[0], first, last)
    rows = maps[:, above - start]
    if share.any():
        rows += (maps[:, below - start] - rows) * share[:, None]
    return resize(rows, (last - first, size[1]))


def _taps(source: int, target: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two source rows of target rows ``first`` to ``last``, and the share of the lower one."""
    position = np.clip((np.arange(first, last) + 0.5) * source / target - 0.5, 0, source - 1)
    above = np.floor(position).astype(np.int64)
    return above, np.minimum(above + 1, source - 1), (position - above).astype(np.float32)
