"""A backbone, a decoder and the last resize."""

from mindspore import nn, ops

from src.models.layers.resize import resize_bilinear


class Segmentor(nn.Cell):
    """Semantic segmentation network.

    The parameters of the two parts are named ``backbone.*`` and ``decoder.*``. For images of changing size,
    compile once in evaluation with ``set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))``.

    Args:
        backbone: cell from [B, 3, H, W] to four maps, finest first.
        decoder: cell from the four maps to logits (see ``src.models.decoders``).
    """

    def __init__(self, backbone, decoder):
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder

    def construct(self, image):
        """Normalized RGB [B, 3, H, W] -> logits [B, K, H, W]; in training the decoder's tuple, unresized."""
        features = self.backbone(image)
        if self.training:
            return self.decoder(features)
        return self.segment(features, image)

    def segment(self, features, image):
        """Four maps and the image that they are of, for its size -> logits [B, K, H, W], in evaluation."""
        return resize_bilinear(self.decoder(features), ops.shape(image)[2:])
