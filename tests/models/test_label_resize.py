"""Labels at the size of a feature map."""

import numpy as np
from mindspore import Tensor, nn

from src.models.label_resize import resize_nearest


class Nearest(nn.Cell):
    def construct(self, label):
        return resize_nearest(label, (3, 5))


def test_nearest_takes_the_pixel_under_the_centre(mode):
    label = np.random.default_rng(0).integers(0, 256, (2, 12, 17)).astype(np.int32)
    # centres of the rows at 2, 6, 10, which are borders between pixels, of the columns at 1.7, 5.1, 8.5, 11.9, 15.3
    expected = label[:, [2, 6, 10]][:, :, [1, 5, 8, 11, 15]]
    np.testing.assert_array_equal(Nearest()(Tensor(label)).asnumpy(), expected)
