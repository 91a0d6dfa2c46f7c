import mindspore as ms
import numpy as np
import pytest

from src.models.decoders import build_decoder
from tests.models.decoders.base import CHANNELS, CLASSES, AllParts, Gradients, Shapes, features, in_pynative, randomize
from tests.models.reference import batch_norm, conv, conv_norm_relu
from tests.models.small import SMALL_DECODER


class TestCSNet(AllParts):
    name = "csnet"
    level = 3

    def expected_extras(self, maps):
        return [(2, CLASSES, *maps[2].shape[2:]), (2, 6, *maps[3].shape[2:])]

    def classify(self, decoder, embedded):
        return decoder.baseline.head.classifier(embedded).asnumpy()

    def test_consistent_features(self):
        decoder, maps = self.build().set_train(False), features((64, 96))
        consistent, _ = decoder.branches(maps)
        np.testing.assert_allclose(decoder.explain(maps)[0].asnumpy(), consistent.asnumpy(), atol=1e-6)

    def expected_logits(self, parameters, maps):
        p = parameters
        original = conv_norm_relu(maps[3], p, "baseline.head.conv")
        consistent = conv_norm_relu(original, p, "consistent.conv")
        consistent = conv(consistent, p["consistent.project.weight"], p["consistent.project.bias"])
        expanded = conv_norm_relu(consistent, p, "aggregation.expand")
        squeezed = conv_norm_relu(np.concatenate([original, expanded], 1), p, "aggregation.squeeze")
        scores = conv(squeezed, p["aggregation.gate.weight"], p["aggregation.gate.bias"])
        exponentials = np.exp(scores.reshape(len(scores), 2, 8, *scores.shape[2:]))
        of_original, of_expanded = np.moveaxis(exponentials / exponentials.sum(1, keepdims=True), 1, 0)
        mixed = of_original * original + of_expanded * expanded
        fused = self.fused(original, mixed, p)
        return conv(fused, p["baseline.head.classifier.weight"], p["baseline.head.classifier.bias"])

    def fused(self, original, mixed, p):
        return original + batch_norm(conv(mixed, p["aggregation.correct.weight"]), p, "aggregation.correct_norm")


@in_pynative
class TestOnFPN(Shapes, Gradients):
    """No auxiliary head; concatenation; logits of the C-S features."""

    name = "csnet"
    options = {"base": "fpn", "fusion": "concat", "classify_consistent": True}
    cancelled = "none"

    def expected_extras(self, maps):
        size = maps[0].shape[2:]
        return [(2, CLASSES, *size), (2, 6, *size)]


class TestGate(TestCSNet):
    """The gate's result takes the place of the original features."""

    options = {"fusion": "gate"}

    def fused(self, original, mixed, p):
        return conv_norm_relu(mixed, p, "aggregation.fuse")


@pytest.mark.parametrize("base", ["fcn", "psp", "fpn"])
def test_without_aggregation_it_is_its_baseline(base):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    maps = features((64, 96))
    options = {**SMALL_DECODER["csnet"], "base": base, "aggregation": False}
    decoder = build_decoder("csnet", CHANNELS, CLASSES, **options).set_train(False)
    auxiliary = {} if base == "fpn" else {"auxiliary_channels": options["auxiliary_channels"]}
    alone = build_decoder(base, CHANNELS, CLASSES, channels=options["channels"], **auxiliary).set_train(False)
    randomize(decoder)
    own = {name: value for name, value in decoder.parameters_dict().items() if name.startswith("baseline.")}
    for name, parameter in alone.parameters_dict().items():
        parameter.set_data(own.pop(f"baseline.{name}").clone())
    assert not own  # it has all of the baseline and nothing besides
    np.testing.assert_allclose(decoder(maps).asnumpy(), alone(maps).asnumpy(), rtol=1e-4, atol=1e-5)


def test_a_residual_starts_as_its_baseline():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    maps = features((64, 96))
    decoder = build_decoder("csnet", CHANNELS, CLASSES, **SMALL_DECODER["csnet"]).set_train(False)
    expected = decoder.baseline(maps)
    np.testing.assert_allclose(decoder(maps).asnumpy(), expected.asnumpy(), rtol=1e-5, atol=1e-6)
    decoder.aggregation.correct_norm.gamma.set_data(ms.Tensor(np.ones(8, np.float32)))
    assert np.abs(decoder(maps).asnumpy() - expected.asnumpy()).max() > 1e-3


def test_the_gate_starts_even():
    ms.set_context(mode=ms.PYNATIVE_MODE)
    options = {**SMALL_DECODER["csnet"], "fusion": "gate"}
    aggregation = build_decoder("csnet", CHANNELS, CLASSES, **options).set_train(False).aggregation
    random = np.random.default_rng(0)
    original, consistent = (ms.Tensor(random.standard_normal((2, c, 3, 4)).astype(np.float32)) for c in (8, 6))
    even = aggregation.fuse((original + aggregation.expand(consistent)) / 2)
    np.testing.assert_allclose(aggregation(original, consistent).asnumpy(), even.asnumpy(), atol=1e-6)
