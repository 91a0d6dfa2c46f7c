"""Training losses, and which decoder is trained with which.

A part is a cell ``construct(outputs, label)`` that says which of the decoder's outputs it reads; it returns its
unweighted value, or a tuple of values that share one weight. The parts of a decoder and their order stand in
``PARTS``, those that any decoder has when its configuration asks for them in ``OPTIONAL``, and how a part is made
from its entry of the configuration's ``losses`` in ``BUILDERS``.
"""

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn, ops

from src.errors import UserError
from src.losses.consistency import Consistency
from src.losses.cross_entropy import CrossEntropy
from src.models.decoders import DECODERS
from src.models.layers import resize_bilinear
from src.schema import AuxiliaryConfig, Config, ConsistencyConfig, CrossEntropyConfig, LossesConfig

PARTS = {
    "fpn": ("ce",),
    "fcn": ("ce", "aux"),
    "csnet": ("ce", "aux", "consistency"),
}
OPTIONAL = ("consistency",)


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


class FeatureLoss(nn.Cell):
    """A loss of one of the outputs at its own size.

    Args:
        index: place of the map among the decoder's outputs.
        loss: cell from map and label to the part's value or values.
    """

    def __init__(self, index, loss):
        super().__init__()
        self.index = index
        self.loss = loss

    def construct(self, outputs, label):
        """Tuple with [B, C, h, w] at ``index``, label [B, H, W] -> what ``loss`` returns."""
        return self.loss(outputs[self.index], label)


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


def _consistency(config: ConsistencyConfig, outputs: Sequence[str], num_classes: int, ignore_index: int) -> nn.Cell:
    if num_classes < 2:
        raise UserError(f"losses.consistency: found {num_classes} class, expected at least 2 to keep apart")
    place = outputs.index("consistent" if "consistent" in outputs else "features")
    return FeatureLoss(place, Consistency(num_classes, ignore_index, **config.model_dump(exclude={"weight"})))


# part: its section of the schema, whose defaults hold where the configuration has none, its builder, and the names
# of its values
BUILDERS = {
    "ce": (CrossEntropyConfig, _ce, ("ce",)),
    "aux": (AuxiliaryConfig, _aux, ("aux",)),
    "consistency": (ConsistencyConfig, _consistency, ("intra", "inter")),
}


class Criterion(nn.Cell):
    """Weighted sum of a decoder's losses.

    Args:
        parts: (names of its values, weight, cell) of each.

    Attributes:
        part_names: names of the entries of the second output.
    """

    def __init__(self, parts):
        super().__init__()
        self.part_names = tuple(name for names, _, _ in parts for name in names)
        self.weights = tuple(weight for _, weight, _ in parts)
        self.parts = nn.CellList([cell for _, _, cell in parts])

    def construct(self, outputs, label):
        """Decoder's tuple, label int32 [B, H, W] -> total fp32 scalar, unweighted values fp32 [len(part_names)]."""
        total, values = ops.zeros((), ms.float32), []
        for weight, part in zip(self.weights, self.parts):  # noqa: B905 (graph mode has no strict)
            found = part(outputs, label)
            for value in found if isinstance(found, tuple) else (found,):
                if weight > 0:  # without it the part is reported, and no gradient is computed
                    total = total + weight * value
                values.append(value)
        return total, ops.stack(values)


def build_criterion(config: Config, num_classes: int, ignore_index: int) -> Criterion:
    """Build the losses of ``config.model.decoder`` with the settings in ``config.losses``.

    Raises:
        UserError: ``losses`` has an entry for a part that this decoder does not have, or a setting that does
            not fit the number of classes.
    """
    decoder = config.model.decoder.name
    given = [name for name in LossesConfig.model_fields if getattr(config.losses, name) is not None]
    names = PARTS[decoder] + tuple(name for name in OPTIONAL if name in given and name not in PARTS[decoder])
    for name in given:
        if name not in names:
            raise UserError(f"losses.{name}: decoder {decoder} has no such part; it has {', '.join(names)}")
    parts = []
    for name in names:
        default, build, value_names = BUILDERS[name]
        section = getattr(config.losses, name) or default()
        outputs = DECODERS[decoder].OUTPUTS
        parts.append((value_names, section.weight, build(section, outputs, num_classes, ignore_index)))
    return Criterion(parts)
