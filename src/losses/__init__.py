"""Training losses, and which decoder is trained with which.

A loss is a cell ``construct(outputs, label)`` that is told which of the decoder's outputs it reads and returns a tuple
of unweighted values, one for each of its parts. The losses of a decoder and their order stand in ``LOSSES``, those that
any decoder has when its configuration asks for them in ``OPTIONAL``, and how a loss is made from its entries of the
configuration's ``losses`` in ``BUILDERS``.
"""

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn, ops

from src.errors import UserError
from src.losses.consistency import Consistency
from src.losses.cross_entropy import CrossEntropy
from src.losses.diversity import DiversityLoss
from src.losses.mask import MaskLoss
from src.models.decoders import DECODERS
from src.models.layers.resize import resize_bilinear
from src.schema import Config
from src.schema.losses import (
    AssignmentConfig,
    AuxiliaryConfig,
    ConsistencyConfig,
    CrossEntropyConfig,
    DiceConfig,
    DiversityConfig,
    LossesConfig,
    MaskConfig,
)

LOSSES = {
    "fpn": ("ce",),
    "fcn": ("ce", "aux"),
    "ecenet": ("ce", "masks", "diversity"),
    "cpt": ("ce", "assignment"),
    "csnet": ("ce", "aux", "consistency"),
}
OPTIONAL = ("consistency",)


class LogitsLoss(nn.Cell):
    """Cross entropy of one of the outputs: logits of any size, or the mean over a tuple of them (0 if it is empty).

    Args:
        index: place among the decoder's outputs.
        cross_entropy: cell from logits and label of one size to a scalar.
    """

    def __init__(self, index, cross_entropy):
        super().__init__()
        self.index = index
        self.cross_entropy = cross_entropy

    def construct(self, outputs, label):
        """Tuple with [B, K, h, w], or a tuple of such, at ``index``, label [B, H, W] -> a tuple of one scalar."""
        maps = outputs[self.index]
        if not isinstance(maps, (tuple, list)):
            maps = (maps,)
        total = ops.zeros((), ms.float32)
        for logits in maps:
            resized = resize_bilinear(logits.astype(ms.float32), ops.shape(label)[1:])
            total = total + self.cross_entropy(resized, label) * (1 / len(maps))
        return (total,)


class MapLoss(nn.Cell):
    """A loss of one of the outputs.

    Args:
        index: place of the map among the decoder's outputs.
        loss: cell from map and label to a tuple of values.
    """

    def __init__(self, index, loss):
        super().__init__()
        self.index = index
        self.loss = loss

    def construct(self, outputs, label):
        """Tuple with [B, C, h, w] at ``index``, label [B, H, W] -> what ``loss`` returns."""
        return self.loss(outputs[self.index], label)


def _ce(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.ce or CrossEntropyConfig()
    weights, ohem = section.class_weights, section.ohem
    if weights is not None and len(weights) != num_classes:
        raise UserError(f"losses.ce.class_weights: found {len(weights)} numbers, expected {num_classes}, one per class")
    mining = () if ohem is None else (ohem.threshold, ohem.min_kept)
    return LogitsLoss(outputs.index("logits"), CrossEntropy(ignore_index, weights, *mining)), {"ce": section.weight}


def _aux(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.aux or AuxiliaryConfig()
    return LogitsLoss(outputs.index("auxiliary"), CrossEntropy(ignore_index)), {"aux": section.weight}


def _masks(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    mask, dice = config.mask or MaskConfig(), config.dice or DiceConfig()
    loss = MaskLoss(num_classes, ignore_index, mask.ignore_as_negative)
    return MapLoss(outputs.index("masks"), loss), {"mask": mask.weight, "dice": dice.weight}


def _diversity(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.diversity or DiversityConfig()
    cell = DiversityLoss(outputs.index("diversity"), outputs.index("diverse_channels"))
    return cell, {"diversity": section.weight}


def _consistency(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.consistency or ConsistencyConfig()
    if num_classes < 2:
        raise UserError(f"losses.consistency: found {num_classes} class, expected at least 2 to keep apart")
    loss = Consistency(num_classes, ignore_index, **section.model_dump(exclude={"weight"}))
    cell = MapLoss(outputs.index("consistent" if "consistent" in outputs else "features"), loss)
    return cell, {"intra": section.weight, "inter": section.weight}


def _assignment(config: LossesConfig, outputs: Sequence[str], num_classes: int, ignore_index: int):
    section = config.assignment or AssignmentConfig()
    cell = LogitsLoss(outputs.index("assignment"), CrossEntropy(ignore_index))
    return cell, {"assignment": section.weight}


# loss: the entries of the configuration's ``losses`` that it reads, and its builder, which returns the cell and the
# weight of each part
BUILDERS = {
    "ce": (("ce",), _ce),
    "aux": (("aux",), _aux),
    "masks": (("mask", "dice"), _masks),
    "diversity": (("diversity",), _diversity),
    "assignment": (("assignment",), _assignment),
    "consistency": (("consistency",), _consistency),
}


class Criterion(nn.Cell):
    """Weighted sum of a decoder's losses.

    Args:
        losses: (cell, {part: weight}) of each.

    Attributes:
        part_names: names of the entries of the second output.
    """

    def __init__(self, losses):
        super().__init__()
        self.part_names = tuple(name for _, weights in losses for name in weights)
        self.weights = tuple(weight for _, weights in losses for weight in weights.values())
        self.losses = nn.CellList([cell for cell, _ in losses])

    def construct(self, outputs, label):
        """Decoder's tuple, label int32 [B, H, W] -> total fp32 scalar, unweighted parts fp32 [len(part_names)]."""
        values = []
        for loss in self.losses:
            for value in loss(outputs, label):
                values.append(value)
        total = ops.zeros((), ms.float32)
        for weight, value in zip(self.weights, values):  # noqa: B905 (graph mode has no strict)
            if weight > 0:  # without it the part is reported, and no gradient is computed
                total = total + weight * value
        return total, ops.stack(values)


def build_criterion(config: Config, num_classes: int, ignore_index: int) -> Criterion:
    """Build the losses of ``config.model.decoder`` with the settings in ``config.losses``.

    Raises:
        UserError: ``losses`` has an entry for a part that this decoder does not have, or a setting that does
            not fit the number of classes.
    """
    decoder = config.model.decoder.name
    given = [name for name in LossesConfig.model_fields if getattr(config.losses, name) is not None]
    losses = LOSSES[decoder] + tuple(name for name in OPTIONAL if name in given and name not in LOSSES[decoder])
    entries = [entry for loss in losses for entry in BUILDERS[loss][0]]
    for name in given:
        if name not in entries:
            raise UserError(f"losses.{name}: decoder {decoder} has no such part; it has {', '.join(entries)}")
    outputs = DECODERS[decoder].OUTPUTS
    return Criterion([BUILDERS[loss][1](config.losses, outputs, num_classes, ignore_index) for loss in losses])
