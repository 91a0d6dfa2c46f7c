"""Labels of a map's cells against NumPy, pixel by pixel and cell by cell."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.layers.labels import cells, majority_label
from tests.models.reference import majority

CLASSES = 4


class Majority(nn.Cell):
    def __init__(self, size, purity, ignore_index=255):
        super().__init__()
        self.size, self.purity, self.ignore_index = size, purity, ignore_index

    def construct(self, label):
        return majority_label(label, self.size, CLASSES, self.ignore_index, self.purity)


def random_label(size, batch=2):
    """Blocks of a class with noise, a fifth ignored, so that cells of every kind occur."""
    generator = np.random.default_rng(0)
    label = np.kron(generator.integers(0, CLASSES, (batch, 9, 9)), np.ones((1, 5, 5)))[:, : size[0], : size[1]]
    noise = generator.random(label.shape)
    label[noise < 0.2] = generator.integers(0, CLASSES, label.shape)[noise < 0.2]
    label[noise > 0.8] = 255
    label[0, :12, :12] = 255
    return label.astype(np.int32)


@pytest.mark.parametrize(
    ("source", "target", "purity"),
    [
        ((32, 40), (4, 5), 0.75),  # cells of 8 x 8 pixels
        ((33, 41), (5, 6), 0.75),  # sizes that do not divide
        ((31, 45), (7, 4), 0.6),
        ((33, 41), (5, 6), 0.0),
        ((9, 11), (9, 11), 1.0),
        ((9, 11), (20, 13), 0.75),  # a map finer than the label has cells without a pixel
        ((17, 23), (1, 1), 0.25),
    ],
    ids=str,
)
def test_equals_the_direct_count(source, target, purity):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    label = random_label(source)
    found = majority_label(Tensor(label), target, CLASSES, 255, purity)
    assert found.dtype == ms.int32
    expected = majority(label, target, CLASSES, purity)
    np.testing.assert_array_equal(found.asnumpy(), expected)


def test_in_a_graph():
    label = random_label((33, 41))
    expected = majority(label, (5, 6), CLASSES, 0.75)
    assert (expected == 255).any() and (expected != 255).any()
    np.testing.assert_array_equal(Majority((5, 6), 0.75)(Tensor(label)).asnumpy(), expected)
    moved = np.where(label == 255, -7, label).astype(np.int32)
    found = Majority((5, 6), 0.75, -7)(Tensor(moved)).asnumpy()
    np.testing.assert_array_equal(found, np.where(expected == 255, -7, expected))


@pytest.mark.parametrize(("share", "total"), [(3, 4), (3, 5), (7, 10), (45, 50), (1023, 1024), (1, 3)])
def test_exactly_as_pure_as_asked_is_enough(share, total):
    """Whatever the rounding of the product of purity and pixels; one pixel less is not enough."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    label = np.full((2, 1, 2 * total), 255, np.int32)
    for row, own in enumerate((share, share - 1)):  # classes 0 and, of the other pixels, one each of 1, 2, 3
        label[row, 0, :own] = 0
        label[row, 0, own:total] = np.arange(total - own) % 3 + 1
    found = majority_label(Tensor(label), (1, 1), CLASSES, 255, share / total).asnumpy()
    assert found[0, 0, 0] == 0
    assert found[1, 0, 0] == (255 if share > 1 else 1)


@pytest.mark.parametrize(("source", "target"), [(352, 44), (97, 13), (769, 97), (5, 9)])
def test_cells_share_out_the_pixels_by_their_centers(source, target):
    found = cells(source, target)
    centers = (np.arange(source) + 0.5) * target / source  # in cells
    assert (found <= centers).all() and (centers < found + 1).all()
    assert found.dtype == np.int32
