"""Mixed precision: fp16 steps come close to fp32 ones, the loss scale follows overflows."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.errors import UserError
from src.losses import build_criterion
from src.models.decoders import build_decoder
from src.models.segmentor import Segmentor
from src.schema.training import AdamWConfig
from src.training.loss_scale import LARGEST, SMALLEST, LossScale
from src.training.optimizer import build_optimizer
from src.training.precision import needs_loss_scale, set_precision
from src.training.train_step import NetworkWithLoss, TrainStep
from tests.losses.test_criterion import config
from tests.models.decoders.base import CHANNELS, CLASSES, TinyBackbone
from tests.models.small import BACKBONE_OF_EACH_FAMILY, SMALL_DECODER, no_drop_path, small_backbone


def network(decoder, build=TinyBackbone):
    ms.set_seed(1)
    backbone = build()
    widths = getattr(backbone, "out_channels", CHANNELS)
    return Segmentor(
        backbone, build_decoder(decoder, widths, CLASSES, **{**SMALL_DECODER[decoder], "dropout": 0.0})
    ).set_train()


def batch():
    generator = np.random.default_rng(0)
    label = np.kron(generator.integers(0, CLASSES, (2, 4, 4)), np.ones((1, 16, 16))).astype(np.int32)
    label[:, :5] = 255
    return Tensor(generator.standard_normal((2, 3, 64, 64)).astype(np.float32)), Tensor(label)


def gradients(cell, decoder, level):
    """Loss, parts and gradients of the first step; the loss is scaled and the scale taken out again."""
    scale = 16.0 if needs_loss_scale(level) else 1.0
    with_loss = NetworkWithLoss(cell, build_criterion(config(decoder), CLASSES, 255), set_precision(cell, level))
    step = ms.value_and_grad(with_loss, None, list(cell.trainable_params()), has_aux=True)
    (_, total, parts), found = step(*batch(), Tensor(scale, ms.float32))
    assert {gradient.dtype for gradient in found} == {ms.float32}
    return total.asnumpy(), parts.asnumpy(), [gradient.asnumpy() / scale for gradient in found]


def check_close(build, decoder, level, cosine=0.98, mode=ms.PYNATIVE_MODE):
    """Half precision, in this mode, against single precision in PyNative."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    total, parts, exact = gradients(build(), decoder, "O0")
    ms.set_context(mode=mode)
    half_total, half_parts, half = gradients(build(), decoder, level)
    assert (half_total, *half_parts) != (total, *parts)  # it really was another type
    np.testing.assert_allclose(half_total, total, rtol=1e-2)
    np.testing.assert_allclose(half_parts, parts, rtol=2e-2, atol=1e-3)
    flat, half_flat = (np.concatenate([one.ravel() for one in many]) for many in (exact, half))
    assert np.isfinite(half_flat).all()
    assert flat @ half_flat / np.linalg.norm(flat) / np.linalg.norm(half_flat) > cosine


@pytest.mark.parametrize("level", ["O2", "O3"])
@pytest.mark.parametrize("decoder", SMALL_DECODER)
def test_half_precision_comes_close_to_single(decoder, level):
    check_close(lambda: network(decoder), decoder, level)


@pytest.mark.parametrize("backbone", BACKBONE_OF_EACH_FAMILY)
def test_backbones_in_half_precision(backbone):
    check_close(lambda: network("fcn", lambda: small_backbone(backbone, **no_drop_path(backbone))), "fcn", "O2", 0.85)


def test_half_precision_in_graph_mode():
    check_close(lambda: network("fcn"), "fcn", "O2", mode=ms.GRAPH_MODE)


def test_bfloat16_is_refused_by_name_on_cpu():
    with pytest.raises(UserError, match="train.amp: bf16 has no kernels .* on CPU"):
        set_precision(network("fcn"), "bf16")


def test_loss_scale_halves_at_an_overflow_and_doubles_after_good_updates(mode):
    cell = LossScale(initial=8.0, window=2)
    found = [float(cell(Tensor(finite)).asnumpy()) for finite in (True, True, True, False, True, True)]
    assert found == [8, 16, 16, 8, 8, 16]


def test_loss_scale_stays_within_its_range():
    low, high = LossScale(initial=SMALLEST, window=1), LossScale(initial=LARGEST, window=1)
    assert float(low(Tensor(False)).asnumpy()) == SMALLEST
    assert float(high(Tensor(True)).asnumpy()) == LARGEST


def test_an_overflow_skips_the_update_and_lowers_the_scale():
    """A scale that fp16 cannot hold comes down by itself; until then nothing moves."""
    cell = network("fpn")
    weights = list(cell.trainable_params())
    scale = LossScale(initial=2.0**24, window=1000)
    optimizer = build_optimizer(AdamWConfig(name="adamw", lr=1e-3), weights)
    options = {"protect_state": True, "dtype": set_precision(cell, "O2"), "loss_scale": scale}
    step = TrainStep(cell, build_criterion(config("fpn"), CLASSES, 255), optimizer, np.full(40, 1e-3), **options)
    before = {parameter.name: parameter.asnumpy().copy() for parameter in cell.get_parameters()}
    finite, used = [], []
    while not finite or not finite[-1]:
        if finite:
            for parameter in cell.get_parameters():
                np.testing.assert_array_equal(parameter.asnumpy(), before[parameter.name], err_msg=parameter.name)
        result = step(*batch(), True).asnumpy()
        assert np.isfinite(result[0])
        finite.append(bool(result[2]))
        used.append(float(result[4]))
        assert len(finite) < 20
    assert len(finite) > 1
    assert used == [2.0 ** (24 - i) for i in range(len(used))]
    assert any((parameter.asnumpy() != before[parameter.name]).any() for parameter in weights)
