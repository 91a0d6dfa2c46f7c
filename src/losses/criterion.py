"""The weighted sum of a decoder's losses."""

import mindspore as ms
from mindspore import nn, ops

from src.errors import UserError
from src.losses.ramp import Ramp
from src.losses.table import BUILDERS, OPTIONAL, losses_of
from src.models.decoders import DECODERS
from src.schema import Config
from src.schema.losses import LossesConfig


class Criterion(nn.Cell):
    """Weighted sum of a decoder's losses.

    Args:
        losses: (cell, {part: weight}, ramp of these weights) of each.

    Attributes:
        part_names: names of the entries of the second output.
        needs_step: whether a weight is ramped, so that the count of updates matters.
    """

    def __init__(self, losses):
        super().__init__()
        self.part_names = tuple(name for _, weights, _ in losses for name in weights)
        self.weights = tuple(weight for _, weights, _ in losses for weight in weights.values())
        self.losses = nn.CellList([cell for cell, _, _ in losses])
        self.ramps = nn.CellList([ramp for _, weights, ramp in losses for _ in weights])
        self.needs_step = any(ramp.length > 0 for ramp in self.ramps)

    def construct(self, outputs, label, step=None):
        """Decoder's tuple, label int32 [B, H, W] -> total fp32 scalar, unweighted parts fp32 [len(part_names)].

        ``step`` counts the updates done so far, int32 scalar; None: all weights have risen.
        """
        values = []
        for loss in self.losses:
            for value in loss(outputs, label):
                values.append(value)
        total = ops.zeros((), ms.float32)
        for weight, ramp, value in zip(self.weights, self.ramps, values):  # noqa: B905 (graph mode has no strict)
            if weight > 0:  # without it the part is reported, and no gradient is computed
                total = total + weight * ramp(value, step)
        return total, ops.stack(values)


def build_criterion(config: Config, num_classes: int, ignore_index: int) -> Criterion:
    """Build the losses of ``config.model.decoder`` with the settings in ``config.losses``.

    Raises:
        UserError: ``losses`` has an entry for a part that this decoder does not have, or a setting that does
            not fit the number of classes.
    """
    decoder = config.model.decoder.name
    given = [name for name in LossesConfig.model_fields if getattr(config.losses, name) is not None]
    own = losses_of(config.model.decoder)
    losses = own + tuple(name for name in OPTIONAL if name in given and name not in own)
    entries = [entry for loss in losses for entry in BUILDERS[loss][0]]
    for name in given:
        if name not in entries:
            has = f"it has {', '.join(entries)}; any decoder may have {', '.join(OPTIONAL)}"
            raise UserError(f"losses.{name}: decoder {decoder} has no such part; {has}")
    outputs = DECODERS[decoder].OUTPUTS
    built = [BUILDERS[loss][1](config.losses, outputs, num_classes, ignore_index) for loss in losses]
    ramps = [Ramp(_ramp_share(config.losses, loss), config.train.iterations) for loss in losses]
    return Criterion([(*one, ramp) for one, ramp in zip(built, ramps, strict=True)])


def _ramp_share(config: LossesConfig, loss: str) -> float:
    """The key ``ramp`` of the loss's section; 0 if it has none, or is of several sections."""
    return getattr(getattr(config, loss, None), "ramp", 0.0)
