from tests.models.decoders.base import AllParts
from tests.models.reference import conv, conv_norm_relu, resize


class TestFPN(AllParts):
    name = "fpn"

    def expected_logits(self, parameters, maps):
        p, size = parameters, maps[0].shape[2:]
        level = conv(maps[3], p["laterals.3.weight"])
        total = resize(conv_norm_relu(level, p, "outputs.3"), size)
        for i in (2, 1, 0):
            level = conv(maps[i], p[f"laterals.{i}.weight"]) + resize(level, maps[i].shape[2:])
            total += resize(conv_norm_relu(level, p, f"outputs.{i}"), size)
        return conv(total, p["classifier.weight"], p["classifier.bias"])
