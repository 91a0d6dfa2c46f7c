import numpy as np

from tests.models.decoders.base import CLASSES, AllParts, features
from tests.models.reference import conv, conv_norm_relu


class TestCSNet(AllParts):
    name = "csnet"
    level = 3

    def expected_extras(self, maps):
        return [(2, CLASSES, *maps[2].shape[2:]), (2, 6, *maps[3].shape[2:])]

    def test_consistent_features(self):
        decoder, maps = self.build().set_train(False), features((64, 96))
        consistent, _ = decoder.branches(maps)
        np.testing.assert_allclose(decoder.explain(maps)[0].asnumpy(), consistent.asnumpy(), atol=1e-6)

    def expected_logits(self, parameters, maps):
        p = parameters
        original = conv_norm_relu(maps[3], p, "reduction")
        consistent = conv_norm_relu(original, p, "consistent.conv")
        consistent = conv(consistent, p["consistent.project.weight"], p["consistent.project.bias"])
        expanded = conv_norm_relu(consistent, p, "aggregation.expand")
        squeezed = conv_norm_relu(np.concatenate([original, expanded], 1), p, "aggregation.squeeze")
        scores = conv(squeezed, p["aggregation.gate.weight"], p["aggregation.gate.bias"])
        exponentials = np.exp(scores.reshape(len(scores), 2, 8, *scores.shape[2:]))
        of_original, of_expanded = np.moveaxis(exponentials / exponentials.sum(1, keepdims=True), 1, 0)
        fused = conv_norm_relu(of_original * original + of_expanded * expanded, p, "aggregation.fuse")
        return conv(fused, p["classifier.weight"], p["classifier.bias"])
