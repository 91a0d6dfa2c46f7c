"""The language of the name tables: one row per kind of parameter, from our name to theirs.

A row is ``(ours, theirs)`` or ``(ours, theirs, change)``; the first row counts whose ``ours`` matches and whose tensors
exist. Placeholders:

    {s} {b} {k} ...   a number; ``{s+1}`` and ``{s-1}`` in ``theirs`` shift it
    {p}               weight or bias, the same on both sides
    {norm}            gamma, beta, moving_mean or moving_variance here; PyTorch's weight, bias, running_mean,
                      running_var there
    {any}             one part of a name, the same on both sides

``theirs`` may join tensors along the first axis (``"q.{p} + k.{p}"``) or take a part of one (``"qkv.{p}[1:3/3]"``: the
second and the last third). ``change`` is a key of ``CHANGES``.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_PATTERNS = {"p": "weight|bias", "norm": "|".join(_NORM), "any": "[A-Za-z_]+"}
_PLACEHOLDER = re.compile(r"\{(\w+)([+-]\d+)?\}")
_PART = re.compile(r"^(.*)\[(\d+):(\d+)/(\d+)\]$")


class Origin(NamedTuple):
    """Where one of our parameters comes from: tensors joined along axis 0, each whole or a part."""

    names: tuple[str, ...]
    part: tuple[int, int, int] | None  # from, to, of how many equal parts
    change: str | None

    def read(self, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
        """Assemble the parameter from the source's tensors."""
        pieces = [tensors[name] for name in self.names]
        values = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        if self.part:
            first, last, parts = self.part
            size = len(values) // parts
            values = values[first * size : last * size]
        return CHANGES[self.change](values) if self.change else values


def unfold_order(values: np.ndarray) -> np.ndarray:
    """Undo the order of mmsegmentation's patch merging: [out, 4 * C] or [4 * C] -> the same shape.

    Its ``nn.Unfold`` orders the 2x2 neighbors as (channel, row, column); all others use (column, row, channel).
    """
    channels = values.shape[-1] // 4
    split = values.reshape(*values.shape[:-1], channels, 2, 2)
    return np.moveaxis(split, -3, -1).swapaxes(-3, -2).reshape(values.shape)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"unfold_order": unfold_order}


def find_origin(rows: list[tuple], name: str, available: Collection[str]) -> Origin | None:
    """Find where our parameter ``name`` comes from, by the first row that fits; None when no row does."""
    for ours, theirs, *change in rows:
        match = _compiled(ours).fullmatch(name)
        if match:
            origin = _fill(theirs, match.groupdict(), change[0] if change else None)
            if all(source in available for source in origin.names):
                return origin
    return None


def _fill(theirs: str, values: dict[str, str], change: str | None) -> Origin:
    def value(placeholder: re.Match) -> str:
        key, shift = placeholder.groups()
        if key == "norm":
            return _NORM[values[key]]
        return str(int(values[key]) + int(shift)) if shift else values[key]

    part = None
    if match := _PART.match(theirs):
        theirs = match[1]
        part = int(match[2]), int(match[3]), int(match[4])
    names = tuple(_PLACEHOLDER.sub(value, piece.strip()) for piece in theirs.split(" + "))
    return Origin(names, part, change)


@cache
def _compiled(ours: str) -> re.Pattern:
    """Turn the pattern of a row into a regular expression with one named group per placeholder."""
    pieces, end = [], 0
    for placeholder in _PLACEHOLDER.finditer(ours):
        key = placeholder[1]
        pieces += [re.escape(ours[end : placeholder.start()]), f"(?P<{key}>{_PATTERNS.get(key, r'[0-9]+')})"]
        end = placeholder.end()
    return re.compile("".join(pieces) + re.escape(ours[end:]))
