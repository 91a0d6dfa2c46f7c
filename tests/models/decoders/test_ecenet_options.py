"""ECENet's options for ablations: what each takes away or replaces, and that everything left is trained."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.errors import UserError
from src.models.decoders import build_decoder
from src.models.decoders.ecenet import FeatureReconstruction
from tests.models.decoders.base import (
    CHANNELS,
    CLASSES,
    Gradients,
    Shapes,
    features,
    in_graph,
    in_pynative,
    randomize,
)
from tests.models.decoders.test_ecenet import BIASES_BEFORE_A_NORM, ECENetTester
from tests.models.reference import resize
from tests.models.small import SMALL_DECODER


class TrainedTester(ECENetTester, Gradients):
    cancelled = BIASES_BEFORE_A_NORM

    def prepare(self, decoder):
        """With a gate that is open: the ReLU of its few units would often close all of it."""
        super().prepare(decoder)
        for parameter in decoder.get_parameters():
            if parameter.name.endswith(("diverse_norm.beta", "squeeze.weight")):
                parameter.set_data(parameter.abs())


class OptionTester(TrainedTester, Shapes):
    pass


class ByLevel:
    """What it returns for the losses: masks of their own sizes."""

    def expected_extras(self, maps):
        masks = [(2, CLASSES, *maps[level].shape[2:]) for level in (3, 2, 1)]
        return [*masks, *super().expected_extras(maps)[1:]]


class WithoutDiversity:
    def expected_extras(self, maps):
        extras = super().expected_extras(maps)
        return [extra for extra in extras if len(extra) != 2]


@in_pynative
class TestLearned(OptionTester):
    options = {"class_embeddings": "learned"}


@in_pynative
class TestWithoutUpdate(OptionTester):
    options = {"token_update": False}


@in_pynative
class TestFeaturesOnly(OptionTester):
    options = {"output": "features"}


@in_pynative
class TestMasksOnly(OptionTester):
    options = {"output": "masks"}


@in_pynative
class TestDiverse(OptionTester):
    options = {"feature_reconstruction": "diverse"}


@in_pynative
class TestIntrinsic(WithoutDiversity, OptionTester):
    options = {"feature_reconstruction": "intrinsic"}


@in_pynative
class TestLevels(ByLevel, OptionTester):
    options = {"mask_supervision": "levels"}


@in_pynative
class TestNearest(OptionTester):
    options = {"upscale_init": "nearest"}


@in_pynative
class TestSmallest(OptionTester):
    options = {
        "class_embeddings": "learned",
        "token_update": False,
        "output": "features",
        "feature_reconstruction": "diverse",
    }


@in_graph
class TestSeveralInGraph(ByLevel, WithoutDiversity, TrainedTester):
    options = {
        "class_embeddings": "learned",
        "output": "masks",
        "mask_supervision": "levels",
        "feature_reconstruction": "intrinsic",
    }


@pytest.fixture(autouse=True)
def pynative_unless_asked(request):
    if "mode" not in request.fixturenames:
        ms.set_context(mode=ms.PYNATIVE_MODE)


def build(**options):
    decoder = build_decoder("ecenet", CHANNELS, CLASSES, **SMALL_DECODER["ecenet"], **options)
    randomize(decoder)
    return decoder.set_train(False)


def embeddings(decoder, maps):
    """Class embeddings after all levels, and the first mask."""
    _, masks, tokens = decoder.interact(decoder.reconstruct(maps)[0])
    return tokens.asnumpy(), masks[3]


def test_class_embeddings():
    """Learned ones are the same for all images until the masks of an image update them."""
    maps = features((64, 96))
    fixed = build(class_embeddings="learned", token_update=False)
    for image in embeddings(fixed, maps)[0]:
        np.testing.assert_array_equal(image, fixed.queries.asnumpy())
    for options in ({"class_embeddings": "learned"}, {"token_update": False}, {}):
        tokens, _ = embeddings(build(**options), maps)
        assert np.abs(tokens[0] - tokens[1]).max() > 1e-3, options
    kept = build(token_update=False)
    tokens, first = embeddings(kept, maps)
    np.testing.assert_array_equal(tokens, kept.extractions[3](first).asnumpy())


def test_options_leave_out_what_they_do_not_need():
    def count(**options):
        names = build(**options).parameters_dict()
        return [sum(f"{part}." in name for name in names) for part in ("extractions", "updates", "upsamples")]

    extraction, update, upsample = 2, 14, 6 * 10
    whole = count()
    assert whole == [4 * extraction, 3 * update, upsample]
    assert count(class_embeddings="learned") == [3 * extraction, *whole[1:]]
    assert count(token_update=False) == [extraction, 0, upsample]
    assert count(class_embeddings="learned", token_update=False) == [0, 0, upsample]
    assert count(output="features") == [3 * extraction, 2 * update, upsample]
    assert count(output="masks") == [*whole[:2], 0]


def test_logits_are_the_sum_of_those_of_features_and_of_masks():
    maps, both = features((64, 96)), build()
    values = {name: parameter.asnumpy() for name, parameter in both.parameters_dict().items()}
    parts = [build(output="features"), build(output="masks")]
    for part in parts:
        for name, parameter in part.parameters_dict().items():
            parameter.set_data(Tensor(values[name][: parameter.shape[0]] if parameter.ndim else values[name]))
    summed = sum(part(maps).asnumpy() for part in parts)
    np.testing.assert_allclose(both(maps).asnumpy(), summed, atol=1e-5)
    masks = parts[1](maps).asnumpy()
    assert 0 < masks.min() < masks.max() < 1
    _, all_masks, _ = both.interact(both.reconstruct(maps)[0])
    total = sum(resize(one.asnumpy().astype(np.float64), all_masks[0].shape[2:]) for one in all_masks)
    np.testing.assert_allclose(parts[1].embed(maps).asnumpy(), total, atol=1e-4)


@pytest.mark.parametrize("branch", ["intrinsic", "diverse"])
def test_one_branch_is_both_without_the_weights_of_the_other(branch):
    feature = features((64, 96))[3]
    both, one = FeatureReconstruction(20, "both"), FeatureReconstruction(20, branch)
    randomize(both)
    # Of the 20 input channels of the last convolution the first 10 are those of the diverse branch.
    own, other = (slice(10), slice(10, 20)) if branch == "diverse" else (slice(10, 20), slice(10))
    weight = both.out.weight.asnumpy()
    weight[:, other] = 0
    both.out.weight.set_data(Tensor(weight))
    values = {name: parameter.asnumpy() for name, parameter in both.parameters_dict().items()}
    values["out.weight"] = weight[:, own]
    for name, parameter in one.parameters_dict().items():
        parameter.set_data(Tensor(values[name]))
    (expected, rows), (found, own_rows) = both(feature), one(feature)
    np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), atol=1e-5)
    assert len(own_rows) == (branch == "diverse")
    for found, expected in zip(own_rows, rows[: len(own_rows)], strict=True):
        np.testing.assert_array_equal(found.asnumpy(), expected.asnumpy())


@pytest.mark.parametrize(("written", "meant"), [(True, "both"), (False, "off")])
def test_feature_reconstruction_as_it_was_once_written(written, meant):
    names = [sorted(build(feature_reconstruction=value).parameters_dict()) for value in (written, meant)]
    assert names[0] == names[1]


@pytest.mark.parametrize(("kind", "repeats"), [("nearest", True), ("random", False)])
def test_start_of_the_upscaling(kind, repeats):
    decoder = build_decoder("ecenet", CHANNELS, CLASSES, **SMALL_DECODER["ecenet"], upscale_init=kind)
    decoder.set_train(True)
    z = Tensor(np.random.default_rng(0).standard_normal((2, 8, 3, 5)).astype(np.float32))
    fine = decoder.upsamples[0](z).asnumpy()
    difference = np.abs(fine - fine[:, :, ::2, ::2].repeat(2, 2).repeat(2, 3)).max()
    assert fine.shape == (2, 8, 6, 10)
    assert fine[:, :, ::2, ::2].std() > 0.1
    assert difference < 1e-5 if repeats else difference > 0.1


def test_nearest_needs_groups_of_four():
    with pytest.raises(UserError, match="upscale_init nearest needs an even number of channels, found 7"):
        build_decoder("ecenet", CHANNELS, CLASSES, channels=7, heads=1, upscale_init="nearest")


def test_supervised_levels_are_the_parts_of_the_sum():
    maps, decoder = features((64, 96)), build(mask_supervision="levels").set_train(True)
    levels = decoder(maps)[1]
    assert [[one.shape[2:] for one in level] for level in levels] == [[maps[i].shape[2:]] for i in (3, 2, 1)]
    decoder.by_level = False
    total = sum(resize(level[0].asnumpy().astype(np.float64), maps[0].shape[2:]) for level in levels)
    np.testing.assert_allclose(decoder(maps)[1].asnumpy(), total, atol=1e-4)
