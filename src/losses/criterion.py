"""The weighted sum of a decoder's losses."""

import mindspore as ms
from mindspore import nn, ops

from src.errors import UserError
from src.losses.table import BUILDERS, OPTIONAL, losses_of, ramps
from src.models.decoders import DECODERS
from src.schema import Config
from src.schema.losses import LossesConfig


class Criterion(nn.Cell):
    """Weighted sum of a decoder's losses.

    Args:
        losses: (cell, {part: weight}) of each.

        ramps: {part: share of the training over which its weight rises from 0}.

    Attributes:
        part_names: names of the entries of the second output.
        ramped: whether ``construct`` needs to know the progress of the training.
    """

    def __init__(self, losses, ramps=None):
        super().__init__()
        self.part_names = tuple(name for _, weights in losses for name in weights)
        self.weights = tuple(weight for _, weights in losses for weight in weights.values())
        self.ramps = tuple((ramps or {}).get(name, 0.0) for name in self.part_names)
        self.ramped = any(self.ramps)
        self.losses = nn.CellList([cell for cell, _ in losses])

    def construct(self, outputs, label, progress=None):
        """Decoder's tuple, label int32 [B, H, W] -> total fp32 scalar, unweighted parts fp32 [len(part_names)].

        progress: share of the training that is done, fp32 scalar; None leaves every weight as it is.
        """
        values = []
        for loss in self.losses:
            for value in loss(outputs, label):
                values.append(value)
        total = ops.zeros((), ms.float32)
        for weight, ramp, value in zip(self.weights, self.ramps, values):  # noqa: B905 (graph mode has no strict)
            if weight > 0:  # without it the part is reported, and no gradient is computed
                if ramp > 0 and progress is not None:
                    value = value * ops.minimum(progress / ramp, ops.ones_like(progress))
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
    own = losses_of(config.model.decoder)
    losses = own + tuple(name for name in OPTIONAL if name in given and name not in own)
    entries = [entry for loss in losses for entry in BUILDERS[loss][0]]
    for name in given:
        if name not in entries:
            has = f"it has {', '.join(entries)}; any decoder may have {', '.join(OPTIONAL)}"
            raise UserError(f"losses.{name}: decoder {decoder} has no such part; {has}")
    outputs = DECODERS[decoder].OUTPUTS
    cells = [BUILDERS[loss][1](config.losses, outputs, num_classes, ignore_index) for loss in losses]
    return Criterion(cells, ramps(config.losses))
