"""ECENet against the numbers of the authors' release (see tests/golden/pack_ecenet.py)."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.errors import UserError
from src.models.decoders import build_decoder
from src.models.decoders.class_tokens import grid_side
from src.weights.convert import convert
from src.weights.loading import own_parameters
from tests.models.decoders.base import CHANNELS, CLASSES, DecoderTester, Embedding, features

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "ecenet.npz")
RELEASED = {name[2:]: GOLDEN[name] for name in GOLDEN.files if name.startswith("w/")}
BIASES_BEFORE_A_NORM = r"reconstructions\.\d\.diverse\.bias|attentions\.[12]\.mlp\.project\.bias"


def shapes_of(decoder):
    return {name: tuple(p.shape) for name, p in own_parameters(decoder).items()}


def released(**options):
    """Decoder of the golden numbers with the release's weights, through the converter."""
    decoder = build_decoder("ecenet", (16, 32, 64, 128), 11, channels=32, dropout=0.0, **options)
    values, report = convert("ecenet-release", "ecenet", RELEASED, shapes_of(decoder))
    assert not report.missing
    assert not report.unused
    for name, value in values.items():
        decoder.parameters_dict()[name].set_data(Tensor(value))
    return decoder


def inputs(part):
    return tuple(Tensor(GOLDEN[f"{part}/in/{i}"]) for i in range(4))


class Explained(nn.Cell):
    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def construct(self, maps):
        return self.decoder.explain(maps)


class Losses(nn.Cell):
    """mean(logits^2), and with ``everything`` + mean(masks^2) + sum of mean(E_i), as the golden gradients have it."""

    def __init__(self, decoder, everything):
        super().__init__()
        self.decoder, self.everything = decoder, everything

    def construct(self, f0, f1, f2, f3):
        logits, masks, diversity, _, _ = self.decoder((f0, f1, f2, f3))
        total = (logits**2).mean()
        if self.everything:
            total = total + (masks**2).mean()
            for level in diversity:
                total = total + level.mean()
        return total


class TestECENet(DecoderTester):
    name = "ecenet"
    options = {"channels": 8, "heads": 2}
    cancelled = BIASES_BEFORE_A_NORM

    def prepare(self, decoder):
        """Few random hidden units of a gate are all dead too often: make them alive."""
        super().prepare(decoder)
        for reconstruction in decoder.reconstructions:
            for parameter in (reconstruction.squeeze.weight, reconstruction.diverse_norm.beta):
                parameter.set_data(ops.abs(parameter) + 0.1)

    def expected_extras(self, maps):
        sizes = [one.shape[2:] for one in maps]
        return [(2, CLASSES, *sizes[0]), *[(2, h * w) for h, w in sizes], (4,)]

    @pytest.mark.parametrize("part", ["eval", "odd_sizes"])
    def test_numbers(self, mode, part):
        decoder = released().set_train(False)
        logits = decoder(inputs(part)).asnumpy()
        np.testing.assert_allclose(logits, GOLDEN[f"{part}/out/seg_logits"], atol=1e-4)
        maps = [one.asnumpy() for one in Explained(decoder)(inputs(part))]
        for i in range(4):
            np.testing.assert_allclose(maps[4 + i].reshape(2, -1), GOLDEN[f"{part}/out/diversity/{i}"], atol=1e-5)
        decoder.set_train(True)
        for norm in decoder.cells_and_names():
            if isinstance(norm[1], nn.BatchNorm2d):
                norm[1].set_train(False)
        masks = decoder(inputs(part))[1].asnumpy()
        np.testing.assert_allclose(masks, GOLDEN[f"{part}/out/masks_wo_last"], atol=1e-4)

    def test_features_are_what_the_classifier_sees(self, mode):
        decoder = released().set_train(False)
        embedded = Embedding(decoder)(inputs("eval"))
        np.testing.assert_allclose(embedded.asnumpy(), GOLDEN["intermediates/mid/proj"], atol=1e-4)
        # The class branch adds a share of a sigmoid (and rounding).
        added = decoder(inputs("eval")).asnumpy() - decoder.classifier(embedded).asnumpy()
        assert ((added > -1e-5) & (added < 1)).all()
        assert added.max() > 1e-3


def test_tanh_gelu(mode):
    logits = released(gelu="tanh").set_train(False)(inputs("eval")).asnumpy()
    np.testing.assert_allclose(logits, GOLDEN["eval/alt/gelu_tanh/seg_logits"], atol=1e-4)
    assert np.abs(logits - GOLDEN["eval/out/seg_logits"]).max() > 1e-4


def test_blocks():
    maps = [one.asnumpy() for one in Explained(released().set_train(False))(inputs("eval"))]
    np.testing.assert_allclose(maps[3], GOLDEN["intermediates/mid/learner"], atol=1e-5)
    for i in range(3):
        expected = GOLDEN[f"intermediates/mid/transfer.{i}/attn"].transpose(0, 2, 1)
        np.testing.assert_allclose(maps[i].reshape(expected.shape), expected, atol=1e-4)


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def test_training_outputs_and_statistics(mode):
    decoder = released().set_train(True)
    logits, masks, diversity, channels, _ = decoder(inputs("train"))
    np.testing.assert_allclose(logits.asnumpy(), GOLDEN["train/out/seg_logits"], atol=1e-4)
    np.testing.assert_allclose(masks.asnumpy(), GOLDEN["train/out/masks_wo_last"], atol=1e-4)
    np.testing.assert_array_equal(channels.asnumpy(), [8, 16, 32, 64])
    for i in range(4):
        np.testing.assert_allclose(diversity[i].asnumpy(), GOLDEN[f"train/out/diversity/{i}"], atol=1e-5)
    after = {n.removeprefix("train/after/"): GOLDEN[n] for n in GOLDEN.files if n.startswith("train/after/")}
    values, _ = convert("ecenet-release", "ecenet", {**RELEASED, **after}, shapes_of(decoder))
    compared = 0
    for name, expected in values.items():
        if name.endswith(("moving_mean", "moving_variance")):
            np.testing.assert_allclose(decoder.parameters_dict()[name].asnumpy(), expected, rtol=1e-4, atol=1e-5)
            compared += 1
    assert compared == len(after) == 42


@pytest.mark.parametrize("everything", [False, True])
def test_gradients(mode, everything):
    decoder = released().set_train(True)
    shapes, parameters = shapes_of(decoder), decoder.trainable_params()
    cell = Losses(decoder, everything)  # prefixes the parameters' names
    by_input, by_parameter = ms.grad(cell, (0, 1, 2, 3), parameters)(*inputs("train"))
    kind = "grad_all" if everything else "grad"
    for i in range(4):
        assert relative(by_input[i].asnumpy(), GOLDEN[f"train/{kind}/in/{i}"]) < 1e-3
    if everything:
        return
    gradients = {n.removeprefix("train/grad/w/"): GOLDEN[n] for n in GOLDEN.files if n.startswith("train/grad/w/")}
    expected, _ = convert("ecenet-release", "ecenet", {**RELEASED, **gradients}, shapes)
    largest = max(np.abs(value).max() for value in gradients.values())
    assert len(gradients) == len(parameters)
    for parameter, gradient in zip(parameters, by_parameter, strict=True):
        found, value = gradient.asnumpy(), expected[parameter.name.removeprefix("decoder.")]
        if np.abs(value).max() < 1e-6 * largest:
            assert np.abs(found).max() < 1e-5 * largest, parameter.name
        else:
            assert relative(found, value) < 1e-3, parameter.name


def test_size_of_the_release():
    """150 classes on Swin-B."""
    decoder = build_decoder("ecenet", (128, 256, 512, 1024), 150)
    assert sum(parameter.size for parameter in decoder.trainable_params()) == 9_888_428


def test_sides_of_the_finest_grid():
    assert [grid_side(classes, 1.0) for classes in (150, 11, 19, 59, 171)] == [13, 3, 5, 7, 13]


@pytest.mark.parametrize(
    "option", [{"invert_attention": False}, {"ghost_upscale": False}, {"feature_reconstruction": False}]
)
def test_switches(option):
    decoder = build_decoder("ecenet", CHANNELS, CLASSES, channels=8, heads=2, **option).set_train(True)
    outputs = decoder(features((64, 96)))
    assert outputs[0].shape == (2, CLASSES, 16, 24)
    assert len(outputs[2]) == (0 if "feature_reconstruction" in option else 4)
    names = " ".join(decoder.parameters_dict())
    assert ("upsamples" in names) == option.get("ghost_upscale", True)
    assert ("reconstructions" in names) == option.get("feature_reconstruction", True)
    if "invert_attention" in option:
        logits = released(**option).set_train(False)(inputs("eval")).asnumpy()
        assert np.abs(logits - GOLDEN["eval/out/seg_logits"]).max() > 1e-2


@pytest.mark.parametrize(
    "in_channels, classes, options, message",
    [
        (CHANNELS, 5, {"channels": 10}, "channels: 10 is not a multiple of heads 4"),
        (CHANNELS[:3], 5, {}, "in_channels: ECENet takes four levels, found 3"),
        (CHANNELS, 1, {}, "num_classes: ECENet needs at least 2, found 1"),
        (CHANNELS, 5, {"token_ratio": 0.4}, r"token_ratio: 0\.4 with 5 classes gives a grid of 0 a side"),
        (CHANNELS, 150, {"token_ratio": 9.0}, r"token_ratio: 9\.0 with 150 classes gives a grid of 110 a side"),
        (CHANNELS, 5, {"gelu": "fast"}, "gelu: expected exact or tanh, found fast"),
        ((8, 12, 15, 20), 5, {}, "feature_reconstruction: needs even channels"),
        (CHANNELS, 5, {"mlp_ratio": 0}, "mlp_ratio: expected at least 1, found 0"),
    ],
)
def test_impossible_options(in_channels, classes, options, message):
    with pytest.raises(UserError, match=f"decoder ecenet: {message}"):
        build_decoder("ecenet", in_channels, classes, **options)
