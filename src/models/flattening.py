"""A backbone whose levels can be flattened, to see what a decoder takes from each."""

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn


class FlattenedLevels(nn.Cell):
    """A backbone with the mean over all pixels in place of a level's map.

    Args:
        backbone: cell from [B, 3, H, W] to four maps, finest first.
    """

    def __init__(self, backbone: nn.Cell):
        super().__init__(auto_prefix=False)
        self.backbone = backbone
        self.any_shape = getattr(backbone, "any_shape", False)
        self.kept = Parameter(Tensor(np.ones(4, np.float32)), name="kept", requires_grad=False)

    def flatten(self, level: int | None) -> None:
        """Flatten this level, 0 to 3, and no other; None for none."""
        self.kept.set_data(Tensor([float(index != level) for index in range(4)], ms.float32))

    def construct(self, image):
        """Image [B, 3, H, W] -> four maps [B, C_i, H_i, W_i]."""
        maps = self.backbone(image)
        return tuple(self._flat(maps[level], self.kept[level]) for level in range(4))

    def _flat(self, features, kept):
        return kept * features + (1 - kept) * features.mean((2, 3), True)
