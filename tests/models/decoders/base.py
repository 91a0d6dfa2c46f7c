"""What every decoder must fulfil, in parts; a decoder's own test is a subclass that names it and its parts."""

import re

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.models.decoders import build_decoder
from src.models.layers.convolution import Conv2d
from src.models.segmentor import Segmentor
from tests.models.small import SMALL_DECODER

CHANNELS = (8, 12, 16, 20)
STRIDES = (4, 8, 16, 32)
CLASSES = 5
# A class whose tests all take ``mode`` runs in one of them only.
in_graph = pytest.mark.parametrize("mode", [ms.GRAPH_MODE], indirect=True, ids=["graph"])
in_pynative = pytest.mark.parametrize("mode", [ms.PYNATIVE_MODE], indirect=True, ids=["pynative"])


class TinyBackbone(nn.Cell):
    """Four strided convolutions of the image."""

    def __init__(self):
        super().__init__()
        self.convs = nn.CellList(
            [
                Conv2d(3, width, 3, stride, pad_mode="pad", padding=1)
                for width, stride in zip(CHANNELS, STRIDES, strict=True)
            ]
        )

    def construct(self, image):
        return tuple([conv(image) for conv in self.convs])


class WeightedOutputs(nn.Cell):
    """Sum of all training outputs but the last, each number with a weight of its own, so that no gradient cancels.

    The last output, the features, is left out so that the gradient has to come through what the losses read.
    """

    def __init__(self, decoder, weights):
        super().__init__()
        self.decoder = decoder
        self.weights = weights

    def construct(self, features):
        total = 0
        outputs = flat(self.decoder(features))
        for i in range(len(self.weights)):
            total = total + (outputs[i] * self.weights[i]).sum()
        return total


def flat(outputs):
    """Training outputs with the tuples among them unpacked, without the last, the features."""
    tensors = []
    for output in outputs[:-1]:
        if isinstance(output, (tuple, list)):
            for one in output:
                tensors.append(one[0] if isinstance(one, (tuple, list)) else one)  # masks by level: tuples of one
        else:
            tensors.append(output)
    return tensors


class Embedding(nn.Cell):
    """A decoder's map before the classifier."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def construct(self, features):
        return self.decoder.embed(features)


def features(size, batch=2):
    """Random maps of an image of ``size``."""
    generator = np.random.default_rng(0)
    shapes = [(batch, c, -(-size[0] // s), -(-size[1] // s)) for c, s in zip(CHANNELS, STRIDES, strict=True)]
    return tuple(Tensor(generator.standard_normal(shape).astype(np.float32)) for shape in shapes)


def randomize(decoder):
    """Give every trained parameter and running statistic a value unlike its initial one."""
    generator = np.random.default_rng(1)
    for parameter in decoder.get_parameters():
        if parameter.dtype == ms.float32:
            value = 0.3 * generator.standard_normal(parameter.shape)
            one_based = parameter.name.endswith(("gamma", "moving_variance"))
            parameter.set_data(Tensor((np.abs(value) + 0.5 if one_based else value).astype(np.float32)))


class DecoderTester:
    """What the parts need to know of a decoder.

    Subclasses set the attributes and override ``expected_logits``; ``expected_extras`` if there are any.
    """

    name: str
    options: dict = {}  # over the small ones
    level = 0  # feature whose size the logits have
    cancelled = "none"  # parameters whose gradient is zero because a batch norm follows: a regular expression

    def build(self):
        return build_decoder(self.name, CHANNELS, CLASSES, **{**SMALL_DECODER[self.name], **self.options})

    def prepare(self, decoder):
        """Make every parameter matter."""
        randomize(decoder)

    def expected_logits(self, parameters, maps):
        """Logits in evaluation, computed in NumPy from the paper's formula."""
        raise NotImplementedError

    def classify(self, decoder, embedded):
        """Logits in evaluation from the features."""
        return decoder.classifier(embedded).asnumpy()

    def expected_extras(self, maps):
        """Shapes of the training outputs between the logits and the features, tuples among them unpacked."""
        return []


class Shapes(DecoderTester):
    """Of what it returns in training and in evaluation."""

    def test_shapes(self, mode):
        decoder, maps = self.build(), features((33, 47))
        decoder.set_train(True)
        outputs = decoder(maps)
        assert isinstance(outputs, tuple)
        assert len(outputs) == len(decoder.OUTPUTS)
        logits = (2, CLASSES, *maps[self.level].shape[2:])
        assert [output.shape for output in flat(outputs)] == [logits, *self.expected_extras(maps)]
        decoder.set_train(False)
        assert decoder(maps).shape == logits


class Features(DecoderTester):
    """The last training output, `embed`, and the logits go together."""

    def test_features_are_what_the_classifier_sees(self, mode):
        decoder, maps = self.build(), features((64, 96))
        assert (decoder.OUTPUTS[0], decoder.OUTPUTS[-1]) == ("logits", "features")
        decoder.set_train(True)
        in_training = decoder(maps)[-1]
        assert in_training.shape[0] == 2
        assert in_training.shape[2:] == maps[self.level].shape[2:]
        decoder.set_train(False)
        embedded = Embedding(decoder)(maps)
        assert embedded.shape == in_training.shape
        np.testing.assert_allclose(self.classify(decoder, embedded), decoder(maps).asnumpy(), atol=1e-4)


class Gradients(DecoderTester):
    """Every parameter has a finite one that is not zero."""

    def test_every_parameter_has_a_gradient(self, mode):
        decoder, maps = self.build(), features((64, 96))
        self.prepare(decoder)
        decoder.set_train(True)
        generator = np.random.default_rng(2)
        shapes = [(2, CLASSES, *maps[self.level].shape[2:]), *self.expected_extras(maps)]
        weights = [Tensor(generator.standard_normal(shape).astype(np.float32)) for shape in shapes]
        parameters = decoder.trainable_params()
        gradients = ms.grad(WeightedOutputs(decoder, weights), None, parameters)(maps)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            assert np.isfinite(gradient.asnumpy()).all(), parameter.name
            if not re.fullmatch(self.cancelled, parameter.name.removeprefix("decoder.")):
                assert np.abs(gradient.asnumpy()).max() > 1e-6, parameter.name


class Numbers(DecoderTester):
    """Logits as the paper's formula gives them."""

    def test_numbers(self, mode):
        decoder, maps = self.build(), features((33, 47))
        self.prepare(decoder)
        decoder.set_train(False)
        named = {name: value.asnumpy().astype(np.float64) for name, value in decoder.parameters_dict().items()}
        expected = self.expected_logits(named, [one.asnumpy().astype(np.float64) for one in maps])
        np.testing.assert_allclose(decoder(maps).asnumpy(), expected, atol=2e-5 * np.abs(expected).max())


class InSegmentor(DecoderTester):
    """Behind a backbone, at any size."""

    def test_dynamic_shape_equals_static(self):
        network = Segmentor(TinyBackbone(), self.build())
        network.set_train(False)
        images = [Tensor(np.random.randn(2, 3, *size).astype(np.float32)) for size in ((33, 47), (65, 96))]
        ms.set_context(mode=ms.PYNATIVE_MODE)  # a graph for each size would take most of the time
        static = [network(image).asnumpy() for image in images]
        ms.set_context(mode=ms.GRAPH_MODE)
        network.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))
        for image, expected in zip(images, static, strict=True):
            assert expected.shape == (2, CLASSES, *image.shape[2:])
            np.testing.assert_allclose(network(image).asnumpy(), expected, atol=1e-5)

    def test_training_output_of_the_segmentor_is_the_decoders(self):
        ms.set_context(mode=ms.PYNATIVE_MODE)
        network = Segmentor(TinyBackbone(), self.build())
        network.set_train(True)
        outputs = network(ops.ones((1, 3, 64, 64), ms.float32))
        stride = STRIDES[self.level]
        assert outputs[0].shape == (1, CLASSES, 64 // stride, 64 // stride)
        assert len(outputs) == len(network.decoder.OUTPUTS)


class AllParts(Shapes, Features, Gradients, Numbers, InSegmentor):
    """All parts."""
