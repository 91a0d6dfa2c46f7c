"""Write converted weights in this project's checkpoint format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn

from src.engine.checkpoint import save_checkpoint


class _Weights(nn.Cell):
    """Holds parameters under names with dots, which a cell cannot have as attributes."""

    def __init__(self, values: Mapping[str, np.ndarray]):
        super().__init__()
        self.held = [Parameter(Tensor(value), name=name) for name, value in values.items()]

    def get_parameters(self, expand=True):
        return iter(self.held)


def save_weights(path: Path, values: Mapping[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write ``path`` whole or not at all; a checksum is added to ``meta``.

    Raises:
        UserError: the file cannot be written.
    """
    save_checkpoint(path, _Weights(values), meta)
