"""Sizes, gradients, modes and options of all backbones."""

import math

import mindspore as ms
import numpy as np
import parity
import pytest
from mindspore import ParameterTuple, Tensor, nn
from mindspore.nn.utils import no_init_parameters

from src.models.backbones import BACKBONES, build_backbone
from src.models.layers.drop_path import DropPaths, linear_rates
from tests.models.small import BACKBONE_OF_EACH_FAMILY, no_drop_path, small_backbone

PARAMETERS = {  # of timm's, transformers' and torchvision's classes without heads; Swin with norm0 to norm3
    "resnet18": 11_176_512,
    "resnet34": 21_284_672,
    "resnet50": 23_508_032,
    "resnet101": 42_500_160,
    "resnet152": 58_143_808,
    "swin_tiny": 27_520_698,
    "swin_small": 48_838_602,
    "swin_base": 86_745_016,
    "swin_large": 194_998_164,
    "mit_b0": 3_319_392,
    "mit_b1": 13_151_424,
    "mit_b2": 24_196_288,
    "mit_b3": 44_072_128,
    "mit_b4": 60_842_688,
    "mit_b5": 81_443_008,
    "efficientnet_lite0": 2_958_848,
}


class Loss(nn.Cell):
    """Some function of all four maps that no norm makes constant."""

    def __init__(self, network):
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, image):
        total = 0.0
        for feature in self.network(image):
            total += (feature * feature * feature).mean() + feature.mean()
        return total


def gradient(network, image, train=True):
    """Value and the gradient of each trained parameter, by name."""
    network.set_train(train)
    weights = network.trainable_params()
    value, gradients = ms.value_and_grad(Loss(network), None, ParameterTuple(weights))(image)
    return value.asnumpy(), {w.name: g.asnumpy() for w, g in zip(weights, gradients, strict=True)}


def random_image(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))


def check_every(gradients):
    """No parameter is without a gradient."""
    for name, values in gradients.items():
        assert np.isfinite(values).all(), name
        assert np.abs(values).max() > 0, name


@pytest.mark.parametrize("name", BACKBONES)
def test_parameter_counts_equal_the_originals(name):
    with no_init_parameters():
        network = build_backbone(name)
    assert sum(p.size for p in network.trainable_params()) == PARAMETERS[name]


@pytest.mark.parametrize("name", BACKBONE_OF_EACH_FAMILY)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (65, 96)], ids=str)
def test_any_size_from_32(name, size):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = small_backbone(name).set_train(False)
    features = network(random_image(2, 3, *size))
    for feature, channels, stride in zip(features, network.out_channels, network.strides, strict=True):
        assert feature.shape == (2, channels, *(math.ceil(side / stride) for side in size))
        assert np.isfinite(feature.asnumpy()).all()


@pytest.mark.parametrize("stride", [8, 16])
def test_dilated_efficientnet_sees_what_the_strided_one_sees(stride):
    """Where the strided network has a pixel, away from the borders; weights of the one fit the other."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    strided = build_backbone("efficientnet_lite0").set_train(False)
    dilated = build_backbone("efficientnet_lite0", output_stride=stride).set_train(False)
    assert ms.load_param_into_net(dilated, strided.parameters_dict(), strict_load=True) == ([], [])
    assert dilated.strides == tuple(min(one, stride) for one in (4, 8, 16, 32))
    for feature, one in zip(dilated(random_image(1, 3, 65, 97)), dilated.strides, strict=True):
        assert feature.shape[2:] == (math.ceil(65 / one), math.ceil(97 / one))
    first, channels, side = (5, 112, 36) if stride == 16 else (3, 40, 104)  # the first stage that is dilated
    maps = []
    for network in (strided, dilated):
        x = random_image(1, channels, side, side)
        for stage in network.blocks[first:]:
            for block in stage:
                x = block(x, None)
        maps.append(x.asnumpy())
    step = 32 // stride
    middle, border = maps[1][:, :, step - 1 :: step, step - 1 :: step], 8 if stride == 16 else 12
    inside = (..., slice(border, -border), slice(border, -border))
    assert middle[inside].size > 0
    np.testing.assert_allclose(middle[inside], maps[0][inside], atol=1e-4 * np.abs(maps[0]).max())


@pytest.mark.parametrize("name", BACKBONE_OF_EACH_FAMILY)
def test_smaller_images_are_refused(name):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    with pytest.raises(ValueError, match="at least 32"):
        build_backbone(name)(random_image(1, 3, 31, 64))


@pytest.mark.parametrize("name", BACKBONE_OF_EACH_FAMILY)
def test_one_graph_for_any_size_or_a_clear_error(name):
    network = small_backbone(name).set_train(False)
    network.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))
    image = random_image(1, 3, 40, 72)
    if not network.any_shape:
        with pytest.raises(ValueError, match="compiled for one image size"):
            network(image)
        return
    features = [feature.asnumpy() for feature in network(image)]
    assert features[3].shape == (1, network.out_channels[3], 2, 3)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    for feature, expected in zip(features, network(image), strict=True):
        np.testing.assert_allclose(feature, expected.asnumpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_parameter_of_every_backbone_gets_a_gradient(name):
    value, gradients = gradient(build_backbone(name, **no_drop_path(name)), random_image(2, 3, 64, 80))
    assert np.isfinite(value)
    check_every(gradients)


@pytest.mark.parametrize("name", BACKBONE_OF_EACH_FAMILY)
def test_gradients_equal_the_originals(name):
    ms.set_context(mode=ms.PYNATIVE_MODE)  # the slow test above compiles
    network = small_backbone(name, **no_drop_path(name))
    parity.set_weights(name, network)
    _, gradients = gradient(
        network, Tensor(parity.formula.image(72, 104, batch=2)), train=name in ("swin_tiny", "mit_b0")
    )
    check_every(gradients)
    parity.check_gradients(name, name, gradients)


def test_both_modes_have_the_same_gradients():
    """Of Swin, which has nearly all cells with hand-written gradients."""
    network = small_backbone("swin_tiny", drop_path=0.0)
    image = random_image(1, 3, 64, 80)
    value, gradients = gradient(network, image)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    other_value, other_gradients = gradient(network, image)
    np.testing.assert_allclose(value, other_value, rtol=1e-5)
    largest = max(np.abs(values).max() for values in gradients.values())
    for key, values in gradients.items():
        np.testing.assert_allclose(values, other_gradients[key], rtol=1e-3, atol=1e-6 * largest, err_msg=key)


@pytest.mark.parametrize(
    "options, trained, moved",
    [
        ({"norm_eval": True}, {"conv1", "bn1", "layer1", "layer4"}, set()),
        ({"frozen_stages": 0}, {"layer1", "layer4"}, {"layer1", "layer4"}),
        ({"frozen_stages": 2}, {"layer4"}, {"layer4"}),
        ({}, {"conv1", "bn1", "layer1", "layer4"}, {"bn1", "layer1", "layer4"}),
    ],
    ids=["norm_eval", "frozen stem", "frozen to stage 2", "plain"],
)
def test_frozen_stages_and_norm_eval_of_resnet(options, trained, moved):
    network = build_backbone("resnet18", **options)
    network.set_train(False)
    network.set_train()  # the options survive a change of mode
    image = random_image(2, 3, 32, 32)
    before = {p.name: p.asnumpy().copy() for p in network.get_parameters()}
    _, gradients = gradient(network, image)
    parts = {"conv1", "bn1", "layer1", "layer4"}
    assert {part for part in parts if any(name.startswith(part) for name in gradients)} == trained
    changed = {p.name for p in network.get_parameters() if not np.array_equal(p.asnumpy(), before[p.name])}
    assert {part for part in parts if any(name.startswith(part) for name in changed)} == moved
    assert all("moving" in name for name in changed)


def test_norm_eval_normalizes_as_in_evaluation():
    network = build_backbone("resnet18", norm_eval=True)
    for parameter in network.get_parameters():
        if "moving" in parameter.name:
            parameter.set_data(Tensor(np.random.default_rng(0).uniform(0.5, 1.5, parameter.shape).astype(np.float32)))
    image = random_image(2, 3, 32, 32)
    evaluated = [feature.asnumpy() for feature in network.set_train(False)(image)]
    for feature, expected in zip(network.set_train()(image), evaluated, strict=True):
        np.testing.assert_allclose(feature.asnumpy(), expected, rtol=1e-5, atol=1e-5)


# ----------------------------------------------------------------------------------------------- drop path
def test_drop_path_rates_rise_over_the_blocks():
    assert linear_rates(0.3, (2, 2), branches=2) == pytest.approx([0, 0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3])


def test_drop_path_drops_whole_samples_at_its_rate(mode):
    paths = DropPaths([0.0, 0.25, 0.5]).set_train()
    drawn = np.stack([np.stack([keep.asnumpy() for keep in paths(64)]) for _ in range(20)], 1).reshape(3, -1)
    for values, rate in zip(drawn, (0.0, 0.25, 0.5), strict=True):
        np.testing.assert_allclose(np.unique(values), [1] if rate == 0 else [0, 1 / (1 - rate)], rtol=1e-6)
        assert (values == 0).mean() == pytest.approx(rate, abs=0.05)
    assert not np.array_equal(drawn[2, :64], drawn[2, 64:128])
    assert paths.set_train(False)(64) == [None] * 3


def test_drop_path_continues_from_its_state():
    paths = DropPaths([0.5]).set_train()
    paths(64)
    state = paths.state.asnumpy().copy()
    expected = paths(64)[0].asnumpy()
    paths(64)
    paths.state.set_data(Tensor(state))
    np.testing.assert_array_equal(paths(64)[0].asnumpy(), expected)


def test_drop_path_changes_training_only():
    network = small_backbone("mit_b0", drop_path=0.9)
    image = random_image(2, 3, 32, 32)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    first, second = ([f.asnumpy() for f in network.set_train(False)(image)] for _ in range(2))
    np.testing.assert_array_equal(first[3], second[3])
    assert not np.array_equal(network.set_train()(image)[3].asnumpy(), first[3])
