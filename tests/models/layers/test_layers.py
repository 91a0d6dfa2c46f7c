"""The shared layers against the standard operators and against NumPy."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.models.layers import backend
from src.models.layers.dropout import ChannelDropout
from src.models.layers.image_size import check_size
from src.models.layers.norm import norm
from src.models.layers.pooling import StemPool
from src.models.layers.resize import resize_bilinear
from tests.models import reference


def dynamic(channels):
    return Tensor(shape=[None, channels, None, None], dtype=ms.float32)


def random(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


class Resize(nn.Cell):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def construct(self, x):
        return resize_bilinear(x, self.size)


class ResizeLike(nn.Cell):
    def construct(self, x, other):
        return resize_bilinear(x, ops.shape(other)[2:])


class StandardResize(Resize):
    def construct(self, x):
        return ops.ResizeBilinearV2(half_pixel_centers=True)(x, self.size)


class Product(nn.Cell):
    """Sum of a cell's output times a constant, whose gradient is the adjoint of the cell."""

    def __init__(self, cell, weight):
        super().__init__()
        self.cell = cell
        self.weight = weight

    def construct(self, x):
        return (self.cell(x) * self.weight).sum()


# small sources take one product with a Kronecker matrix, the others two products
SIZES = [((1, 1), (9, 7)), ((4, 5), (9, 13)), ((8, 12), (32, 48)), ((11, 15), (33, 47)), ((20, 30), (13, 9))]


@pytest.mark.parametrize(("source", "target"), SIZES)
class TestResize:
    def test_values(self, mode, source, target):
        x = random(2, 3, *source)
        y = Resize(target)(x).asnumpy()
        np.testing.assert_allclose(y, reference.resize(x.asnumpy().astype(np.float64), target), atol=2e-6)
        np.testing.assert_allclose(y, StandardResize(target)(x).asnumpy(), atol=1e-5)

    def test_gradient(self, source, target):
        x, weight = random(2, 3, *source), random(2, 3, *target)
        gradient = ms.grad(Product(Resize(target), weight))(x).asnumpy()
        standard = ms.grad(Product(StandardResize(target), weight))(x).asnumpy()
        np.testing.assert_allclose(gradient, standard, atol=1e-5 * np.abs(standard).max())


def test_resize_to_the_same_size_changes_nothing(mode):
    x = random(1, 2, 9, 7)
    np.testing.assert_array_equal(Resize((9, 7))(x).asnumpy(), x.asnumpy())


def test_resize_with_dynamic_shape_equals_static():
    cell = ResizeLike()
    cell.set_inputs(dynamic(3), dynamic(3))
    for source, target in SIZES:
        x = random(2, 3, *source)
        y = cell(x, random(2, 3, *target)).asnumpy()
        np.testing.assert_allclose(y, Resize(target)(x).asnumpy(), atol=1e-5)


def test_resize_by_the_standard_operator_elsewhere(monkeypatch):
    monkeypatch.setattr(backend, "products_are_faster", lambda: False)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    x = random(1, 2, 20, 30)
    y = Resize((33, 47))(x).asnumpy()
    np.testing.assert_array_equal(y, StandardResize((33, 47))(x).asnumpy())


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (17, 16)])
def test_stem_pool_equals_padded_max_pool(mode, size):
    x = ops.relu(random(2, 3, *size))
    pool, standard = StemPool(), nn.MaxPool2d(3, 2, pad_mode="pad", padding=1)
    expected = standard(x)
    np.testing.assert_array_equal(pool(x).asnumpy(), expected.asnumpy())
    weight = random(*expected.shape)
    positive = (x > 0).astype(ms.float32)  # where the input is 0 the ReLU before stops the gradient
    gradients = [ms.grad(Product(cell, weight))(x) * positive for cell in (pool, standard)]
    np.testing.assert_allclose(gradients[0].asnumpy(), gradients[1].asnumpy(), atol=1e-6)


def test_stem_pool_with_dynamic_shape():
    pool = StemPool()
    pool.set_inputs(dynamic(3))
    for size in ((32, 48), (33, 47)):
        x = ops.relu(random(1, 3, *size))
        np.testing.assert_array_equal(pool(x).asnumpy(), StemPool()(x).asnumpy())


def test_small_image_is_refused(mode):
    with pytest.raises(ValueError, match="at least 32 x 32, got 20 x 40"):
        CheckSize()(random(1, 3, 20, 40))


class CheckSize(nn.Cell):
    def construct(self, image):
        check_size(image)
        return image


class TestChannelDropout:
    def masks(self, layer, calls, shape=(16, 64, 2, 3)):
        layer.set_train(True)
        return [layer(ops.ones(shape, ms.float32)).asnumpy() for _ in range(calls)]

    def test_drops_whole_channels_at_the_rate_and_scales(self, mode):
        for mask in self.masks(ChannelDropout(0.25), 3, (64, 256, 2, 3)):
            assert (mask == mask[:, :, :1, :1]).all()
            np.testing.assert_allclose(np.unique(mask), [0, 1 / 0.75], rtol=1e-6)
            share = (mask[:, :, 0, 0] == 0).mean()
            assert abs(share - 0.25) < 4 * (0.25 * 0.75 / mask[:, :, 0, 0].size) ** 0.5

    def test_no_two_images_steps_or_layers_alike(self):
        first, second = self.masks(ChannelDropout(0.5), 2)
        (other,) = self.masks(ChannelDropout(0.5), 1)
        pairs = [(first, second), (first, other), (second, other), (first[1:], first[:-1])]
        for one, two in pairs:
            assert 0.4 < (one == two).mean() < 0.6

    def test_restored_parameters_continue_the_same_masks(self, mode):
        layer = ChannelDropout(0.5)
        self.masks(layer, 2)
        saved = {name: Tensor(value.asnumpy()) for name, value in layer.parameters_dict().items()}
        expected = self.masks(layer, 3)
        restored = ChannelDropout(0.5)
        for name, value in restored.parameters_dict().items():
            value.set_data(saved[name])
        np.testing.assert_array_equal(self.masks(restored, 3), expected)

    def test_same_seed_same_masks_in_both_modes(self):
        masks = []
        for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
            ms.set_context(mode=mode)
            ms.set_seed(3)
            masks.append(self.masks(ChannelDropout(0.5), 2))
        np.testing.assert_array_equal(masks[0], masks[1])

    def test_counts_training_steps_only_and_is_not_trained(self, mode):
        layer = ChannelDropout(0.5)
        x = random(2, 3, 4, 5)
        layer.set_train(False)
        np.testing.assert_array_equal(layer(x).asnumpy(), x.asnumpy())
        assert layer.state.asnumpy()[1] == 0
        layer.set_train(True)
        ms.value_and_grad(Product(layer, ops.ones_like(x)))(x)
        assert layer.state.asnumpy()[1] == 1
        assert not layer.trainable_params()

    def test_gradient_is_the_mask(self, mode):
        layer, twin = ChannelDropout(0.5), ChannelDropout(0.5)
        twin.state.set_data(Tensor(layer.state.asnumpy()))
        x = ops.ones((4, 8, 2, 3), ms.float32)
        layer.set_train(True)
        gradient = ms.grad(Product(layer, ops.ones_like(x)))(x)
        np.testing.assert_array_equal(gradient.asnumpy(), self.masks(twin, 1, x.shape)[0])

    def test_rate_0_is_the_identity(self):
        (mask,) = self.masks(ChannelDropout(0.0), 1)
        assert (mask == 1).all()

    @pytest.mark.parametrize("rate", [-0.1, 1.0])
    def test_bad_rate(self, rate):
        with pytest.raises(ValueError, match="dropout rate"):
            ChannelDropout(rate)


def test_batch_norm_of_a_single_pixel_leaves_the_statistics_alone(mode):
    """It has no variance; the running one must not become NaN."""
    cell = norm(2).set_train(True)
    x = np.array([3.0, -1.0], np.float32).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(cell(Tensor(x)).asnumpy(), x / np.sqrt(1 + 1e-5), rtol=1e-6)
    assert cell.moving_mean.asnumpy().tolist() == [0, 0]
    assert cell.moving_variance.asnumpy().tolist() == [1, 1]
