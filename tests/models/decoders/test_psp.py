import numpy as np

from tests.models.decoders.base import CLASSES, AllParts
from tests.models.reference import adaptive_pool, conv, conv_norm_relu, resize


class TestPSP(AllParts):
    name = "psp"
    level = 3

    def classify(self, decoder, embedded):
        return decoder.head.classifier(embedded).asnumpy()

    def expected_extras(self, maps):
        return [(2, CLASSES, *maps[2].shape[2:])]

    def expected_logits(self, parameters, maps):
        p, deepest = parameters, maps[3]
        pools = [
            conv_norm_relu(adaptive_pool(deepest, side), p, f"pyramid.convs.{i}") for i, side in enumerate((1, 2, 3, 6))
        ]
        x = np.concatenate([deepest, *(resize(pool, deepest.shape[2:]) for pool in pools)], 1)
        return conv(conv_norm_relu(x, p, "head.conv"), p["head.classifier.weight"], p["head.classifier.bias"])
