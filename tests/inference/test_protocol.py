"""Evaluation protocol: windows, scales, flips, with runners whose right answer is known."""

import numpy as np
import pytest

from src.inference.protocol import describe, predict
from src.inference.views import window_starts
from src.schema.training import EvalConfig

WEIGHTS = np.random.default_rng(3).standard_normal((5, 3)).astype(np.float32)


def pointwise(image):
    """Logits that depend on the pixel alone: windows and flips must not change them."""
    return np.einsum("kc,bchw->bkhw", WEIGHTS, image)


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal((1, 3, 50, 71)).astype(np.float32)


@pytest.mark.parametrize(
    ("length", "window", "stride", "starts"),
    [(10, 16, 8, [0]), (16, 16, 8, [0]), (17, 16, 8, [0, 1]), (24, 16, 8, [0, 8]), (1000, 640, 608, [0, 360])],
)
def test_windows_cover_the_side_and_stay_inside(length, window, stride, starts):
    assert window_starts(length, window, stride) == starts


def test_slide_equals_whole_for_a_pointwise_network(image):
    slide = EvalConfig(mode="slide", crop=[24, 32], stride=[16, 20], flip=True)
    expected = pointwise(image)[0].argmax(0)
    np.testing.assert_array_equal(predict(pointwise, image, slide, (50, 71)), expected)
    np.testing.assert_array_equal(predict(pointwise, image, EvalConfig(), (50, 71)), expected)


def test_overlapping_windows_are_averaged(image):
    """A runner that adds a constant per call: the sum over windows divided by their number stays between."""
    calls = []

    def runner(window):
        calls.append(window.shape)
        logits = np.zeros((1, 2, *window.shape[2:]), np.float32)
        logits[:, 0] = 1.0
        logits[:, 1] = {1: 3.0, 2: -3.0}[len(calls)]  # alone class 1, then 0; together -> mean 0 < 1
        return logits

    config = EvalConfig(mode="slide", crop=[50, 50], stride=[50, 50])
    prediction = predict(runner, image, config, (50, 71))
    assert calls == [(1, 3, 50, 50)] * 2
    assert (prediction[:, :21] == 1).all()  # first window only
    assert (prediction[:, 21:50] == 0).all()  # both windows
    assert (prediction[:, 50:] == 0).all()  # second window only


def test_window_larger_than_the_image_takes_it_whole(image):
    config = EvalConfig(mode="slide", crop=[640, 32], stride=[608, 32])
    np.testing.assert_array_equal(predict(pointwise, image, config, (50, 71)), pointwise(image)[0].argmax(0))


def test_views_are_averaged_as_probabilities(image):
    def runner(view):  # the first view is certain of class 1 by its logit, the second of class 0, more strongly
        runner.calls += 1
        pair = [0.0, 1.0] if runner.calls == 1 else [100.0, 0.0]
        return np.broadcast_to(np.array(pair, np.float32).reshape(1, 2, 1, 1), (1, 2, *view.shape[2:])).copy()

    runner.calls = 0
    prediction = predict(runner, image, EvalConfig(scales=[0.5, 1.0]), (50, 71))
    assert runner.calls == 2
    assert (prediction == 0).all()  # 0.27 + 1.0 against 0.73 + 0.0


def test_scales_resize_the_view_and_bring_the_logits_back(image):
    seen = []

    def runner(view):
        seen.append(view.shape[2:])
        return pointwise(view)

    prediction = predict(runner, image, EvalConfig(scales=[0.5, 2.0]), (100, 142))
    assert seen == [(25, 36), (100, 142)]
    assert prediction.shape == (100, 142)


def test_protocol_in_words():
    config = EvalConfig(mode="slide", crop=[64, 48], stride=[32, 24], scales=[0.5, 1.0], flip=True)
    assert describe(config) == "slide 64x48 stride 32x24, scales 0.5 1.0, flip"
    assert describe(EvalConfig()) == "whole"
