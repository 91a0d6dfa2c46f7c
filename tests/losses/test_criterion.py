"""Which losses a decoder has, and their weighted sum."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from src.config import load_config
from src.errors import UserError
from src.losses import build_criterion
from src.losses.table import LOSSES
from src.models.decoders import DECODERS
from src.schema import Config
from tests.losses import reference
from tests.losses.consistency_reference import consistency
from tests.losses.test_mask import reference as mask_reference
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
    assert set(LOSSES) == set(DECODERS)


def test_defaults_of_fcn(mode):
    criterion = build_criterion(config("fcn"), 3, 255)
    assert criterion.part_names == ("ce", "aux")
    outputs, label = batch()
    total, parts = criterion(tuple(Tensor(output) for output in outputs), Tensor(label))
    values = [expected(output, label) for output in outputs]
    assert parts.dtype == total.dtype == ms.float32
    np.testing.assert_allclose(parts.asnumpy(), values, rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), values[0] + 0.4 * values[1], rtol=1e-5)


def test_defaults_of_ecenet():
    """The release's weights: 1, 5, 2 and 0.2."""
    criterion = build_criterion(config("ecenet"), 3, 255)
    assert criterion.part_names == ("ce", "mask", "dice", "diversity")
    (logits, masks), label = batch()
    levels = tuple(Tensor(np.full((2, size), 0.1, np.float32)) for size in (12, 6))
    outputs = (Tensor(logits), Tensor(masks), levels, Tensor([2.0, 4.0]), Tensor(logits))
    total, parts = criterion(outputs, Tensor(label))
    values = parts.asnumpy()
    np.testing.assert_allclose(values[0], expected(logits, label), rtol=1e-5)
    np.testing.assert_allclose(values[3], 1 - (1.2 / 2 + 0.6 / 4) / 2, rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), values @ [1, 5, 2, 0.2], rtol=1e-5)


def test_defaults_of_cpt(mode):
    """Mask and dice loss act on the sum of the masks, each resized to the label first."""
    criterion = build_criterion(config("cpt"), 3, 255)
    assert criterion.part_names == ("ce", "mask", "dice")
    (logits, coarse), label = batch()
    masks = (coarse, logits * 2)
    total, parts = criterion((Tensor(logits), tuple(map(Tensor, masks)), Tensor(logits)), Tensor(label))
    summed = sum(resize(mask.astype(np.float64), label.shape[1:]) for mask in masks)
    values = [expected(logits, label), *mask_reference(summed, label, ignore_as_negative=True)]
    np.testing.assert_allclose(parts.asnumpy(), values, rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), np.dot([1, 5, 2], values), rtol=1e-5)


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


def csnet_batch():
    """Outputs of C-S Net: logits, auxiliary logits, consistent-separable features, features."""
    outputs, label = batch()
    generator = np.random.default_rng(1)
    label[:, 5:] = np.kron(generator.integers(0, 3, (2, 5, 6)), np.ones((1, 8, 8)))[:, 5:33, :47]  # cells of one class
    return [*outputs, (), *(generator.standard_normal((2, width, 9, 12)).astype(np.float32) for width in (4, 6))], label


def tensors(outputs):
    return tuple(output if isinstance(output, tuple) else Tensor(output) for output in outputs)


def test_parts_of_csnet_are_those_that_its_options_give_it():
    options = config("csnet").model_dump()
    options["model"]["decoder"] = {"name": "csnet", "base": "fpn", "classify_consistent": True}
    criterion = build_criterion(Config.model_validate(options), 3, 255)
    assert criterion.part_names == ("ce", "consistent_ce", "intra", "inter")
    with pytest.raises(UserError, match=r"losses\.consistent_ce: decoder csnet has no such part"):
        build_criterion(config("csnet", consistent_ce={"weight": 1.0}), 3, 255)


def test_defaults_of_csnet(mode):
    criterion = build_criterion(config("csnet"), 3, 255)
    assert criterion.part_names == ("ce", "aux", "intra", "inter")
    outputs, label = csnet_batch()
    total, parts = criterion(tensors(outputs), Tensor(label))
    values = [expected(output, label) for output in outputs[:2]]
    values += [*consistency(outputs[3].astype(np.float64), label, "cosine", "image", 8, (0.05, 0.1))]
    np.testing.assert_allclose(parts.asnumpy(), values, rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), np.dot([1, 0.4, 0.5, 0.5], values), rtol=1e-5)


def test_consistency_of_another_decoder_acts_on_its_features():
    settings = {"weight": 2.0, "distance": "euclidean", "scope": "batch", "min_pixels": 5, "intra_margin": 0.1}
    criterion = build_criterion(config("fpn", consistency=settings), 3, 255)
    assert criterion.part_names == ("ce", "intra", "inter")
    outputs, label = csnet_batch()
    total, parts = criterion((Tensor(outputs[0]), Tensor(outputs[4])), Tensor(label))
    values = [expected(outputs[0], label)]
    values += [*consistency(outputs[4].astype(np.float64), label, "euclidean", "batch", 5, (0.1, 1.5))]
    np.testing.assert_allclose(parts.asnumpy(), values, rtol=1e-5)
    np.testing.assert_allclose(total.asnumpy(), np.dot([1, 2, 2], values), rtol=1e-5)


def test_consistency_of_weight_0_is_reported_and_does_not_train(mode):
    criterion = build_criterion(
        config("csnet", **{name: {"weight": 0.0} for name in LOSSES["csnet"] if name != "consistent_ce"}), 3, 255
    )
    outputs, label = csnet_batch()
    (total, parts), gradient = ms.value_and_grad(criterion, 0, has_aux=True)(tensors(outputs), Tensor(label))
    assert total.asnumpy() == 0
    assert (parts.asnumpy() > 0.1).all()
    assert all((one.asnumpy() == 0).all() for one in gradient if isinstance(one, Tensor))


def test_consistency_needs_two_classes():
    with pytest.raises(UserError, match=r"losses\.consistency: found 1 class, expected at least 2"):
        build_criterion(config("csnet"), 1, 255)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("intra_margin=-0.1", r"losses\.consistency\.intra_margin: .*greater than or equal to 0, found -0\.1"),
        ("inter_margin=-1", r"losses\.consistency\.inter_margin: .*greater than or equal to 0"),
        ("inter_margin=.inf", r"losses\.consistency\.inter_margin: .*finite"),
        (
            "inter_margin=1.5",
            r"losses\.consistency: inter_margin 1\.5 is out of reach of distance cosine; at most 1\.0",
        ),
        ("min_pixels=0", r"losses\.consistency\.min_pixels: .*greater than or equal to 1, found 0"),
        ("weight=-1", r"losses\.consistency\.weight: .*greater than or equal to 0"),
        ("distance=manhattan", r"losses\.consistency\.distance: .*'cosine' or 'euclidean', found 'manhattan'"),
        ("scope=world", r"losses\.consistency\.scope: .*'image' or 'batch'"),
        ("margin=1", r"unknown key 'losses\.consistency\.margin'; did you mean '.*_margin'"),
    ],
)
def test_bad_settings_of_consistency(small_config, override, message):
    with pytest.raises(UserError, match=message):
        load_config(small_config, [f"losses.consistency.{override}"])
