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
        self.needs_label = getattr(decoder, "needs_label", False)

    def construct(self, image, label=None):
        """Normalized RGB [B, 3, H, W] -> logits [B, K, H, W]; in training the decoder's tuple, unresized.

        ``label``, int32 [B, H, W], is read in training only, and only if ``needs_label``.
        """
        features = self.backbone(image)
        if self.training:
            return self.decoder(features, label) if self.needs_label else self.decoder(features)
        return resize_bilinear(self.decoder(features), ops.shape(image)[2:])

    def report(self):
        """A line for the log about the decoder's state, or None if it has none."""
        return self.decoder.report() if hasattr(self.decoder, "report") else None
