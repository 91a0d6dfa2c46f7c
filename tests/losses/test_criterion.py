"""Which losses a decoder has, and their weighted sum."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from src.errors import UserError
from src.losses import PARTS, build_criterion
from src.models.decoders import DECODERS
from src.schema import Config
from tests.losses import reference
from tests.models.reference import resize


def config(decoder, **losses):
    return Config.model_validate(
        {
            "data": {"name": "shapes", "records": "unused", "crop": [64, 64]},
            "model": {"backbone": {"name": "resnet18"}, "decoder": {"name": decoder}},
            "losses": losses,
            "optimizer": {"name": "sgd", "lr": 0.1},
            "train": {"iterations": 1, "batch_size": 1},
        }
    )


def batch(classes=3):
    generator = np.random.default_rng(0)
    label = generator.integers(0, classes, (2, 33, 47)).astype(np.int32)
    label[:, :5] = 255
    outputs = [generator.standard_normal((2, classes, *size)).astype(np.float32) for size in ((9, 12), (3, 3))]
    return outputs, label


def expected(logits, label):
    return reference.cross_entropy(resize(logits.astype(np.float64), label.shape[1:]), label)[0]


def test_every_decoder_has_losses():
    assert set(PARTS) == set(DECODERS)


def test_defaults_of_fcn(mode):
    criterion = build_criterion(config("fcn"), 3, 255)
    assert criterion.part_names == ("ce", "aux")
    outputs, label = batch()
    total, parts = criterion(tuple(Tensor(output) for output in outputs), Tensor(label))
    values = [expected(output, label) for output in outputs]
    assert parts.dtype == total.dtype == ms.float32
    np.testing.assert_allclose(parts.asnumpy(), values, rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), values[0] + 0.4 * values[1], rtol=1e-5)


def test_assignment_of_cpt_is_the_mean_over_the_blocks(mode):
    criterion = build_criterion(config("cpt"), 3, 255)
    assert criterion.part_names == ("ce", "assignment")
    outputs, label = batch()
    logits, *assignments = [Tensor(output) for output in (outputs[0], outputs[1], outputs[0] * 2)]
    total, parts = criterion((logits, tuple(assignments), logits), Tensor(label))
    values = [expected(output, label) for output in (outputs[0], outputs[1], outputs[0] * 2)]
    np.testing.assert_allclose(parts.asnumpy(), [values[0], (values[1] + values[2]) / 2], rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), values[0] + 0.4 * (values[1] + values[2]) / 2, rtol=1e-5)
    # CPT at stride 32 has no block, so nothing to assign.
    np.testing.assert_allclose(criterion((logits, (), logits), Tensor(label))[1].asnumpy(), [values[0], 0], rtol=1e-5)


def test_weights_act_on_the_total_only():
    criterion = build_criterion(config("fcn", ce={"weight": 2.0}, aux={"weight": 0.0}), 3, 255)
    outputs, label = batch()
    total, parts = criterion(tuple(Tensor(output) for output in outputs), Tensor(label))
    values = [expected(output, label) for output in outputs]
    np.testing.assert_allclose(parts.asnumpy(), values, rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), 2 * values[0], rtol=1e-5)


def test_settings_reach_the_loss():
    settings = {"class_weights": [1.0, 2.0, 3.0], "ohem": {"threshold": 0.3, "min_kept": 50}}
    criterion = build_criterion(config("fpn", ce=settings), 3, 255)
    assert criterion.part_names == ("ce",)
    outputs, label = batch()
    total, _ = criterion((Tensor(outputs[0]),), Tensor(label))
    resized = resize(outputs[0].astype(np.float64), label.shape[1:])
    value = reference.cross_entropy(resized, label, settings["class_weights"], (0.3, 50))[0]
    np.testing.assert_allclose(total.asnumpy(), value, rtol=1e-4)


def test_all_ignored(mode):
    criterion = build_criterion(config("fcn"), 3, 255)
    outputs = tuple(Tensor(output) for output in batch()[0])
    total, parts = criterion(outputs, ops.full((2, 33, 47), 255, dtype=ms.int32))
    assert total.asnumpy() == 0
    assert (parts.asnumpy() == 0).all()


def test_part_that_the_decoder_does_not_have():
    with pytest.raises(UserError, match=r"losses\.aux: decoder fpn has no such part; it has ce"):
        build_criterion(config("fpn", aux={"weight": 0.4}), 3, 255)


def test_class_weights_of_wrong_length():
    with pytest.raises(UserError, match=r"losses\.ce\.class_weights: found 2 numbers, expected 3"):
        build_criterion(config("fpn", ce={"class_weights": [1.0, 2.0]}), 3, 255)
