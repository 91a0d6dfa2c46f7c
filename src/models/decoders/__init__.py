"""Decoders: four feature maps to logits.

Contract: ``construct(features)`` takes four NCHW maps, finest first, and returns in training a tuple whose entries
``OUTPUTS`` names (logits, what its losses need, and last "features": the map before the classifier), in evaluation
the logits alone, at the decoder's own stride. ``embed(features)`` returns the map before the classifier (and before
its dropout) in any mode. In graph mode outputs that no loss reads are dropped by the compiler and cost nothing.

A decoder may also have ``EXPLAINS`` and ``explain(features)``: names and values of what pictures can show of its
inside.
"""

from collections.abc import Sequence

from mindspore import nn

from src.errors import UserError
from src.models.decoders.cpt import CPT
from src.models.decoders.csnet import CSNet
from src.models.decoders.ecenet import ECENet
from src.models.decoders.fcn import FCN
from src.models.decoders.fpn import FPN
from src.models.decoders.psp import PSP
from src.schema.options import complete

DECODERS = {"fpn": FPN, "fcn": FCN, "psp": PSP, "ecenet": ECENet, "cpt": CPT, "csnet": CSNet}


def build_decoder(name: str, in_channels: Sequence[int], num_classes: int, **options) -> nn.Cell:
    """Build the decoder ``name``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: K, at least 2.
        options: those of the decoder's section in ``src.schema.decoders``, which has the defaults.

    Raises:
        UserError: there is no such decoder, or it cannot be built; the message names the option.
    """
    options = complete("decoder", name, options)
    if len(in_channels) != 4:
        raise UserError(f"decoder {name}: in_channels: found {len(in_channels)} levels, expected 4")
    if num_classes < 2:
        raise UserError(f"decoder {name}: num_classes: found {num_classes}, expected at least 2 to tell apart")
    return DECODERS[name](in_channels, num_classes, **options)
