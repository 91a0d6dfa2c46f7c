"""Mixed precision: the types a training step computes in.

Every layer of this project computes in the type of its input and returns it, so the type of the image decides the type
of the network. Weights stay fp32 and are cast where they are used. Always in fp32: batch and layer norms, softmax, GELU
on the CPU, prototypes and their memory, class centers, all losses, the optimizer.
"""

import mindspore as ms
from mindspore import nn

from src.errors import UserError
from src.models.layers.norm import BatchNorm

TYPES = {"O0": ms.float32, "O2": ms.float16, "O3": ms.float16, "bf16": ms.bfloat16}


def set_precision(network: nn.Cell, level: str):
    """Prepare ``network`` for a level of ``train.amp``; return the type that images are cast to.

    Args:
        level: ``O0`` fp32; ``O2`` fp16; ``O3`` fp16, where batch norms pass fp16 to their kernel instead of casting to
            fp32 and back; ``bf16`` as O2 in bfloat16.

    Raises:
        UserError: the device has no kernels for it.
    """
    if level == "bf16" and ms.get_context("device_target") == "CPU":
        raise UserError(
            "train.amp: bf16 has no kernels for convolution and batch norm on CPU; use O0 (or O2, O3) here, or bf16 "
            "on Ascend or GPU"
        )
    for _, cell in network.cells_and_names():
        if isinstance(cell, BatchNorm):
            cell.half = level == "O3"
    return TYPES[level]


def needs_loss_scale(level: str) -> bool:
    """Whether gradients can vanish: fp16 has nothing below 6e-8, bfloat16 has the range of fp32."""
    return TYPES[level] == ms.float16
