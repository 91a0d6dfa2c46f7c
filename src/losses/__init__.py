"""Training losses, and which decoder is trained with which.

A part is a cell ``construct(outputs, label)`` that says which of the decoder's outputs it reads; it returns its
unweighted value. The parts of a decoder and their order stand in ``PARTS``, how a part is made from its entry of
the configuration's ``losses`` in ``BUILDERS``.
"""

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn, ops

from src.errors import UserError
from src.losses.cross_entropy import CrossEntropy
from src.models.decoders import DECODERS
from src.models.layers import resize_bilinear
from src.schema import AssignmentConfig, AuxiliaryConfig, Config, CrossEntropyConfig, LossesConfig

PARTS = {
    "fpn": ("ce",),
    "fcn": ("ce", "aux"),
    "cpt": ("ce", "assignment"),
}


class LogitsLoss(nn.Cell):
    """Cross entropy of one of the outputs, logits of any size.

    Args:
        index: place of the logits among the decoder's outputs.
        cross_entropy: cell from logits and label of one size to a scalar.
    """

    def __init__(self, index, cross_entropy):
        super().__init__()
        self.index = index
        self.cross_entropy = cross_entropy

    def construct(self, outputs, label):
        """Tuple with [B, K, h, w] at ``index``, label [B, H, W] -> scalar."""
        logits = outputs[self.index].astype(ms.float32)
        return self.cross_entropy(resize_bilinear(logits, ops.shape(label)[1:]), label)


class MeanLogitsLoss(nn.Cell):
    """Mean cross entropy of an output that is a tuple of logits, each of any size; 0 for an empty tuple.

    Args: as of `LogitsLoss`.
    """

    def __init__(self, index, cross_entropy):
        super().__init__()
        self.index = index
        self.cross_entropy = cross_entropy

    def construct(self, outputs, label):
        """Tuple with a tuple of [B, K, h_i, w_i] at ``index``, label [B, H, W] -> scalar."""
        maps = outputs[self.index]
        total = ops.zeros((), ms.float32)
        for logits in maps:
            resized = resize_bilinear(logits.astype(ms.float32), ops.shape(label)[1:])
            total = total + self.cross_entropy(resized, label) * (1 / len(maps))
        return total


def _ce(config: CrossEntropyConfig, outputs: Sequence[str], num_classes: int, ignore_index: int) -> nn.Cell:
    weights = config.class_weights
    if weights is not None and len(weights) != num_classes:
        raise UserError(f"losses.ce.class_weights: found {len(weights)} numbers, expected {num_classes}, one per class")
    place = outputs.index("logits")
    if config.ohem is None:
        return LogitsLoss(place, CrossEntropy(ignore_index, weights))
    return LogitsLoss(place, CrossEntropy(ignore_index, weights, config.ohem.threshold, config.ohem.min_kept))


def _aux(config: AuxiliaryConfig, outputs: Sequence[str], num_classes: int, ignore_index: int) -> nn.Cell:
    return LogitsLoss(outputs.index("auxiliary"), CrossEntropy(ignore_index))


def _assignment(config: AssignmentConfig, outputs: Sequence[str], num_classes: int, ignore_index: int) -> nn.Cell:
    return MeanLogitsLoss(outputs.index("assignment"), CrossEntropy(ignore_index))


# part: its section of the schema, whose defaults hold where the configuration has none, and its builder
BUILDERS = {
    "ce": (CrossEntropyConfig, _ce),
    "aux": (AuxiliaryConfig, _aux),
    "assignment": (AssignmentConfig, _assignment),
}


class Criterion(nn.Cell):
    """Weighted sum of a decoder's losses.

    Args:
        parts: (name, weight, cell) of each.

    Attributes:
        part_names: names of the entries of the second output.
    """

    def __init__(self, parts):
        super().__init__()
        self.part_names = tuple(name for name, _, _ in parts)
        self.weights = tuple(weight for _, weight, _ in parts)
        self.parts = nn.CellList([cell for _, _, cell in parts])

    def construct(self, outputs, label):
        """Decoder's tuple, label int32 [B, H, W] -> total fp32 scalar, unweighted parts fp32 [len(part_names)]."""
        values = [part(outputs, label) for part in self.parts]
        total = 0
        for weight, value in zip(self.weights, values):  # noqa: B905 (graph mode has no strict)
            total = total + weight * value
        return total, ops.stack(values)


def build_criterion(config: Config, num_classes: int, ignore_index: int) -> Criterion:
    """Build the losses of ``config.model.decoder`` with the settings in ``config.losses``.

    Raises:
        UserError: ``losses`` has an entry for a part that this decoder does not have, or a setting that does
            not fit the number of classes.
    """
    decoder = config.model.decoder.name
    names = PARTS[decoder]
    for name in LossesConfig.model_fields:
        if getattr(config.losses, name) is not None and name not in names:
            raise UserError(f"losses.{name}: decoder {decoder} has no such part; it has {', '.join(names)}")
    parts = []
    for name in names:
        default, build = BUILDERS[name]
        section = getattr(config.losses, name) or default()
        outputs = DECODERS[decoder].OUTPUTS
        parts.append((name, section.weight, build(section, outputs, num_classes, ignore_index)))
    return Criterion(parts)
