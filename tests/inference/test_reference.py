"""Every protocol on odd sizes against a slow reference in NumPy that shares no code with it."""

import numpy as np
import pytest

from src.inference import protocol
from src.inference.protocol import predict
from src.inference.strips import predict_by_strips
from src.inference.views import runner_sizes, views_of
from src.schema.training import EvalConfig

K, STRIDE = 4, 4
MIX = np.random.default_rng(0).standard_normal((K, 3))


def linear(source, target):
    """Matrix [target, source] of linear interpolation between pixel centers."""
    matrix = np.zeros((target, source))
    for row in range(target):
        position = min(max((row + 0.5) * source / target - 0.5, 0), source - 1)
        left = int(position)
        matrix[row, left] += 1 - (position - left)
        matrix[row, min(left + 1, source - 1)] += position - left
    return matrix


def scale(maps, size):
    return linear(maps.shape[1], size[0]) @ maps @ linear(maps.shape[2], size[1]).T


def coarse(image):
    """A network at stride 4 that sees its borders: means of 4 x 4 blocks, filled up with zeros, and their place."""
    _, height, width = image.shape
    padded = np.zeros((3, -(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE))
    padded[:, :height, :width] = image
    blocks = padded.reshape(3, padded.shape[1] // STRIDE, STRIDE, padded.shape[2] // STRIDE, STRIDE).mean((2, 4))
    logits = np.einsum("kc,chw->khw", MIX, blocks)
    logits[0] += np.linspace(0, 1, logits.shape[2])  # not symmetric: a flip that is forgotten shows
    return logits


class Runner:
    """Full logits, coarse logits and ids, as those of networks; counts its calls."""

    num_classes = K

    def __init__(self, batch=1):
        self.batch, self.calls = batch, []

    def coarse(self, images):
        assert len(images) <= self.batch
        self.calls.append(len(images))
        return np.stack([coarse(image) for image in images]).astype(np.float32)

    def __call__(self, images):
        return np.stack([scale(one, images.shape[2:]) for one in self.coarse(images)]).astype(np.float32)


class ExportedFile:
    """Full logits alone."""

    num_classes = K

    def __init__(self, batch=1):
        self.batch, self.run = batch, Runner(batch)

    def __call__(self, images):
        return self.run(images)


def starts(length, window, stride):
    """By trial: windows step by step until one reaches the end, which is where the last one goes."""
    found = [0]
    while found[-1] + window < length:
        found.append(min(found[-1] + stride, length - window))
    return found


def reference(image, config, size):
    """Scores [K, H, W]: logits of a single view, or the sum of the probabilities of all."""
    views = []
    for factor in config.scales:
        whole = scale(image, [round(side * factor) for side in image.shape[1:]]) if factor != 1 else image
        for flip in (False, True)[: 1 + config.flip]:
            view = whole[..., ::-1] if flip else whole
            _, height, width = view.shape
            rows, columns = config.crop or (height, width)
            total, count = np.zeros((K, height, width)), np.zeros((height, width))
            for top in starts(height, rows, (config.stride or [1])[0]) if config.crop else [0]:
                for left in starts(width, columns, config.stride[1]) if config.crop else [0]:
                    window = view[:, top : top + rows, left : left + columns]
                    total[:, top : top + rows, left : left + columns] += scale(coarse(window), window.shape[1:])
                    count[top : top + rows, left : left + columns] += 1
            logits = scale((total / count)[..., ::-1] if flip else total / count, size)
            views.append(logits if len(config.scales) == 1 and not config.flip else softmax(logits))
    return sum(views)


def softmax(logits):
    powers = np.exp(logits - logits.max(0))
    return powers / powers.sum(0)


SLIDE = {"mode": "slide", "crop": [24, 32], "stride": [17, 20]}
CASES = {
    "whole": {},
    "flip": {"flip": True},
    "scales": {"scales": [0.75, 1.0, 1.5], "flip": True},
    "slide": SLIDE,
    "slide, scales": {**SLIDE, "scales": [0.5, 1.25], "flip": True},
    "window larger than the image": {"mode": "slide", "crop": [64, 32], "stride": [50, 32]},
}


@pytest.mark.parametrize("size", [(47, 61), (39, 90)], ids=str)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    ("runner", "large"),
    [(Runner, False), (Runner, True), (ExportedFile, True)],
    ids=["at once", "strips", "strips of an exported file"],
)
def test_prediction_is_that_of_the_reference(case, size, batch, runner, large, monkeypatch):
    if large:
        monkeypatch.setattr(protocol, "LOGITS_BYTES", 0)
        monkeypatch.setattr("src.inference.strips.STRIP_BYTES", 4 * K * 100 * 7)  # strips of about seven rows
    image = np.random.default_rng(1).standard_normal((1, 3, 47, 61)).astype(np.float32)
    config = EvalConfig(batch=batch, **CASES[case])
    scores = reference(image[0].astype(np.float64), config, size)
    found = predict(runner(batch), image, config, size)
    assert found.shape == size
    assert found.dtype == np.uint8
    first, second = np.sort(scores, 0)[-2:][::-1]
    clear = first - second > 1e-4  # elsewhere rounding decides
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(found[clear], scores.argmax(0)[clear])


def test_windows_of_all_views_share_batches():
    image = np.zeros((1, 3, 47, 61), np.float32)
    config = EvalConfig(**SLIDE, flip=True, batch=4)  # 3 x 3 windows, and again mirrored
    runner = Runner(4)
    predict(runner, image, config, (47, 61))
    assert runner.calls == [4, 4, 4, 4, 4]  # the last one is filled up: no graph for two images
    runner = Runner(1)  # a file that was exported for one image
    predict(runner, image, config, (47, 61))
    assert runner.calls == [1] * 18


def test_an_image_and_its_mirror_image_are_one_batch():
    runner = Runner(8)
    predict(runner, np.zeros((1, 3, 40, 40), np.float32), EvalConfig(scales=[0.5, 1.0], flip=True, batch=8), (40, 40))
    assert runner.calls == [2, 2]


def test_ids_of_the_graph_are_taken_where_nothing_else_is_asked_for():
    class InGraph(Runner):
        def ids(self, images):
            return np.full((1, *images.shape[2:]), 3, np.uint8)

    image = np.zeros((1, 3, 40, 50), np.float32)
    assert (predict(InGraph(), image, EvalConfig(), (40, 50)) == 3).all()
    for config, size in ((EvalConfig(flip=True), (40, 50)), (EvalConfig(), (41, 50)), (EvalConfig(**SLIDE), (40, 50))):
        assert not (predict(InGraph(), image, config, size) == 3).all()


def test_strips_never_hold_all_logits(monkeypatch):
    """The arrays that exist at a time stay below a fifth of the logits at full size, which take 54 MB."""
    import tracemalloc

    classes, side = 150, 300
    logits = [np.zeros((classes, side // 4, side // 4), np.float32)]
    (view,) = views_of((side, side), EvalConfig())
    monkeypatch.setattr("src.inference.strips.STRIP_BYTES", 1 << 20)
    tracemalloc.start()
    predict_by_strips([(view, logits)], (side, side), True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * classes * side * side / 5


def test_windows_of_an_exported_file_are_dropped_when_they_are_done(monkeypatch):
    """Of 11 rows of windows, two and the next one at most are there at a time."""
    import weakref

    made, dropped, most = 0, [], 0

    def outputs(windows):
        nonlocal made, most
        for window in windows:
            logits = np.zeros((K, window.height, window.width), np.float32)
            weakref.finalize(logits, dropped.append, window)
            made += 1
            most = max(most, made - len(dropped))
            yield logits

    (view,) = views_of((120, 40), EvalConfig(mode="slide", crop=[20, 20], stride=[10, 20]))
    monkeypatch.setattr("src.inference.strips.STRIP_BYTES", 4 * K * 40 * 5)
    predict_by_strips([(view, outputs(view.windows))], (120, 40), True)
    assert made == 22 and 4 <= most <= 8


def test_sizes_that_a_runner_gets():
    config = EvalConfig(**SLIDE, scales=[0.5, 1.0])
    assert runner_sizes((47, 61), config) == {(24, 30), (24, 32)}
    assert runner_sizes((47, 61), EvalConfig(scales=[0.5, 1.0])) == {(24, 30), (47, 61)}
