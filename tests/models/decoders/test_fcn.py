from tests.models.decoders.base import CLASSES, AllParts
from tests.models.reference import conv, conv_norm_relu


class TestFCN(AllParts):
    name = "fcn"
    level = 3

    def classify(self, decoder, embedded):
        return decoder.head.classifier(embedded).asnumpy()

    def expected_extras(self, maps):
        return [(2, CLASSES, *maps[2].shape[2:])]

    def expected_logits(self, parameters, maps):
        p = parameters
        return conv(conv_norm_relu(maps[3], p, "head.conv"), p["head.classifier.weight"], p["head.classifier.bias"])
