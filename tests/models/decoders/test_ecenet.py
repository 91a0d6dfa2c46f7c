"""ECENet against the numbers of the authors' release (see tests/golden/pack_ecenet.py)."""

import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.errors import UserError
from src.models.decoders import build_decoder
from src.models.decoders.class_tokens import grid_side
from src.weights.convert import convert
from src.weights.loading import own_parameters
from tests.models.decoders.base import CHANNELS, CLASSES, DecoderTester, InSegmentor, Shapes, features, in_pynative
from tests.models.reference import resize
from tests.models.small import SMALL_DECODER

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "ecenet.npz")
RELEASED = {name[2:]: GOLDEN[name] for name in GOLDEN.files if name.startswith("w/")}
BIASES_BEFORE_A_NORM = r"reconstructions\.\d\.diverse\.bias|attentions\.[12]\.mlp\.project\.bias"


def shapes_of(decoder):
    return {name: tuple(p.shape) for name, p in own_parameters(decoder).items()}


def released(**options):
    """Decoder of the golden numbers with the release's weights, through the converter."""
    decoder = build_decoder(
        "ecenet", (16, 32, 64, 128), 11, channels=32, dropout=0.0, **{"query_activation": "relu", **options}
    )
    values, report = convert("ecenet-release", "ecenet", RELEASED, shapes_of(decoder))
    assert not report.missing
    assert not report.unused
    for name, value in values.items():
        decoder.parameters_dict()[name].set_data(Tensor(value))
    return decoder


def inputs(part):
    return tuple(Tensor(GOLDEN[f"{part}/in/{i}"]) for i in range(4))


class Everything(nn.Cell):
    """In one graph, for the sake of time: logits, features and what `explain` returns."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def construct(self, maps):
        return self.decoder(maps), self.decoder.embed(maps), self.decoder.explain(maps)


class Losses(nn.Cell):
    """mean(logits^2) + share (mean(masks^2) + sum of mean(E_i)), as the golden gradients have it; and the outputs."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def construct(self, f0, f1, f2, f3, share):
        logits, masks, diversity, _, features = self.decoder((f0, f1, f2, f3))
        extra = (masks**2).mean()
        for level in diversity:
            extra = extra + level.mean()
        return (logits**2).mean() + share * extra, logits, masks, diversity, features


class ECENetTester(DecoderTester):
    name = "ecenet"

    def expected_extras(self, maps):
        sizes = [one.shape[2:] for one in maps]
        return [(2, CLASSES, *sizes[0]), *[(2, h * w) for h, w in sizes], (4,)]


@in_pynative
class TestShapes(ECENetTester, Shapes):
    pass


class TestInSegmentor(ECENetTester, InSegmentor):
    pass


# In place of the parts Features, Gradients and Numbers there are the golden numbers, which say more.
@pytest.mark.parametrize("part", ["eval", "odd_sizes"])
def test_numbers(mode, part):
    decoder = released().set_train(False)
    logits, embedded, explained = Everything(decoder)(inputs(part))
    np.testing.assert_allclose(logits.asnumpy(), GOLDEN[f"{part}/out/seg_logits"], atol=1e-4)
    maps = [one.asnumpy() for one in explained]
    masks = sum(resize(maps[i].astype(np.float64), maps[0].shape[2:]) for i in (1, 2, 3))
    np.testing.assert_allclose(masks, GOLDEN[f"{part}/out/masks_wo_last"], atol=1e-4)
    for i in range(4):
        np.testing.assert_allclose(maps[4 + i].reshape(2, -1), GOLDEN[f"{part}/out/diversity/{i}"], atol=1e-5)
    if part == "eval":
        np.testing.assert_allclose(embedded.asnumpy(), GOLDEN["intermediates/mid/proj"], atol=1e-4)
        np.testing.assert_allclose(maps[3], GOLDEN["intermediates/mid/learner"], atol=1e-5)
        for i in range(3):
            expected = GOLDEN[f"intermediates/mid/transfer.{i}/attn"].transpose(0, 2, 1)
            np.testing.assert_allclose(maps[i].reshape(expected.shape), expected, atol=1e-4)


def test_tanh_gelu(mode):
    logits = released(gelu="tanh").set_train(False)(inputs("eval")).asnumpy()
    np.testing.assert_allclose(logits, GOLDEN["eval/alt/gelu_tanh/seg_logits"], atol=1e-4)
    assert np.abs(logits - GOLDEN["eval/out/seg_logits"]).max() > 1e-4


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def golden(prefix):
    return {name.removeprefix(prefix): GOLDEN[name] for name in GOLDEN.files if name.startswith(prefix)}


def test_training(mode):
    """Outputs, batch-norm statistics after a step, and every gradient."""
    decoder = released().set_train(True)
    shapes, parameters = shapes_of(decoder), decoder.trainable_params()
    cell = Losses(decoder)  # prefixes the parameters' names
    gradient = ms.value_and_grad(cell, (0, 1, 2, 3), parameters, has_aux=True)
    (_, logits, masks, diversity, embedded), (by_input, by_parameter) = gradient(*inputs("train"), Tensor(0.0))

    np.testing.assert_allclose(logits.asnumpy(), GOLDEN["train/out/seg_logits"], atol=1e-4)
    np.testing.assert_allclose(masks.asnumpy(), GOLDEN["train/out/masks_wo_last"], atol=1e-4)
    for i in range(4):
        np.testing.assert_allclose(diversity[i].asnumpy(), GOLDEN[f"train/out/diversity/{i}"], atol=1e-5)
    added = (logits - decoder.classifier(embedded)).asnumpy()  # the class branch: a share of a sigmoid
    assert -1e-5 < added.min() < added.max() < 1

    after, own = golden("train/after/"), own_parameters(decoder)
    expected, _ = convert("ecenet-release", "ecenet", {**RELEASED, **after}, shapes)
    statistics = [name for name in expected if name.endswith(("moving_mean", "moving_variance"))]
    assert len(statistics) == len(after) == 42
    for name in statistics:
        np.testing.assert_allclose(own[f"decoder.{name}"].asnumpy(), expected[name], rtol=1e-4, atol=1e-5)

    for i in range(4):
        assert relative(by_input[i].asnumpy(), GOLDEN[f"train/grad/in/{i}"]) < 1e-3
    gradients = golden("train/grad/w/")
    expected, _ = convert("ecenet-release", "ecenet", {**RELEASED, **gradients}, shapes)
    largest = max(np.abs(value).max() for value in gradients.values())
    assert len(gradients) == len(parameters)
    for parameter, found in zip(parameters, by_parameter, strict=True):
        name = parameter.name.removeprefix("decoder.")
        if re.fullmatch(BIASES_BEFORE_A_NORM, name):
            assert np.abs(found.asnumpy()).max() < 1e-5 * largest, name
        else:
            assert relative(found.asnumpy(), expected[name]) < 1e-3, name

    _, (by_input, _) = gradient(*inputs("train"), Tensor(1.0))
    for i in range(4):
        assert relative(by_input[i].asnumpy(), GOLDEN[f"train/grad_all/in/{i}"]) < 1e-3


def test_sides_of_the_finest_grid():
    assert [grid_side(classes, 1.0) for classes in (150, 11, 19, 59, 171)] == [13, 3, 5, 7, 13]


@pytest.mark.parametrize(
    "option",
    [
        {"query_activation": "none"},
        {"invert_attention": False},
        {"ghost_upscale": False},
        {"feature_reconstruction": False},
    ],
)
def test_switches(option):
    ms.set_context(mode=ms.PYNATIVE_MODE)  # compiling takes most of the time
    decoder = build_decoder("ecenet", CHANNELS, CLASSES, **SMALL_DECODER["ecenet"], **option).set_train(True)
    outputs = decoder(features((64, 96)))
    assert outputs[0].shape == (2, CLASSES, 16, 24)
    assert len(outputs[2]) == (0 if "feature_reconstruction" in option else 4)
    names = " ".join(decoder.parameters_dict())
    assert ("upsamples" in names) == option.get("ghost_upscale", True)
    assert ("reconstructions" in names) == option.get("feature_reconstruction", True)
    if "invert_attention" in option or "query_activation" in option:
        logits = released(**option).set_train(False)(inputs("eval")).asnumpy()
        assert np.abs(logits - GOLDEN["eval/out/seg_logits"]).max() > 1e-2


def test_initial_values():
    decoder = build_decoder("ecenet", (32, 64, 128, 256), 20, channels=128)
    values = {p.name: p.asnumpy() for p in decoder.get_parameters()}
    for name, deviation in (
        ("classifier.weight", 0.01),
        ("attentions.0.key_value.weight", 0.02),
        ("reconstructions.3.squeeze.weight", 0.02),
        ("class_scores.weight", 0.02),
        ("first_mask.0.weight", (3 * 32) ** -0.5),
        ("first_mask.1.weight", (3 * 128) ** -0.5),
        ("attentions.1.mlp.depthwise.weight", (3 * 9) ** -0.5),
        ("upsamples.2.1.primary.conv.weight", (3 * 128) ** -0.5),
        ("fusion.conv.weight", (3 * 9 * 512) ** -0.5),
    ):
        np.testing.assert_allclose(values[name].std(), deviation, rtol=0.1, err_msg=name)


@pytest.mark.parametrize("kind", ["relu", "none"])
def test_masks_are_scaled_products_of_queries_and_keys(mode, kind):
    """The mean over h heads of q . k / sqrt(d) is q . k / (h sqrt(d)) over all channels."""
    decoder = build_decoder("ecenet", CHANNELS, CLASSES, **SMALL_DECODER["ecenet"], query_activation=kind)
    attention, generator = decoder.attentions[0], np.random.default_rng(0)
    width = attention.heads * attention.depth
    lateral = Tensor(generator.standard_normal((2, width, 5, 7)).astype(np.float32))
    tokens = Tensor(generator.standard_normal((2, CLASSES, width)).astype(np.float32))
    _, masks = attention(lateral, tokens)
    activate = (lambda x: np.maximum(x, 0)) if kind == "relu" else (lambda x: x)
    query = activate(attention.query_depthwise(attention.norm_pixels(lateral)).asnumpy())
    assert (query.min() < 0) == (kind == "none")
    query = activate(attention.query_pointwise(Tensor(query)).asnumpy())
    assert (query.min() < 0) == (kind == "none")
    key = attention.key_value(attention.norm_tokens(tokens)).asnumpy()[..., :width]
    expected = np.einsum("bdyx,bkd->bkyx", query, key) / (attention.heads * attention.depth**0.5)
    np.testing.assert_allclose(masks.asnumpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "in_channels, classes, options, message",
    [
        (CHANNELS, 5, {"token_ratio": 0.4}, r"token_ratio: 0\.4 with 5 classes gives a grid of 0 a side"),
        (CHANNELS, 150, {"token_ratio": 9.0}, r"token_ratio: 9\.0 with 150 classes gives a grid of 110 a side"),
        ((8, 12, 15, 20), 5, {}, "feature_reconstruction: found a map of 15 channels, expected an even number"),
    ],
)
def test_options_that_do_not_fit_the_classes_or_the_maps(in_channels, classes, options, message):
    with pytest.raises(UserError, match=f"decoder ecenet: {message}"):
        build_decoder("ecenet", in_channels, classes, **options)
