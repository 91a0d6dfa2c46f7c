"""Which pixels a region covers."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from src.data.importers.raster import Bitmap, Ellipse, Layer, Polygon, paint, rectangle
from src.data.importers.rle import Rle
from src.errors import UserError
from tests.data.importers import known as k


def draw(region, size):
    """All pixels of an image that a region covers, bool [H, W]."""
    window, mask = region.draw(size)
    full = np.zeros(size, bool)
    full[window] = mask
    return full


def distance(points, ring):
    """From each point to the nearest edge."""
    start, edge = ring, np.roll(ring, -1, axis=0) - ring
    along = ((points[:, None] - start) * edge).sum(-1) / (edge**2).sum(-1).clip(1e-12)
    return np.linalg.norm(points[:, None] - start - along.clip(0, 1)[..., None] * edge, axis=-1).min(axis=1)


@pytest.mark.parametrize("whole", [False, True])
def test_polygons_agree_with_pycocotools_to_a_quarter_of_a_pixel(whole):
    """Any polygons, also such as cross themselves or reach outside the image."""
    random = np.random.default_rng(int(whole))
    differing = total = 0
    for _ in range(150):
        height, width = (int(v) for v in random.integers(20, 90, 2))
        ring = random.uniform(-10, (width + 10, height + 10), (random.integers(3, 12), 2))
        ring = ring.round() if whole else ring
        ours = draw(Polygon(ring), (height, width))
        theirs = coco_mask.decode(coco_mask.frPyObjects([ring.ravel().tolist()], height, width))[..., 0]
        centers = np.argwhere(ours != theirs)[:, ::-1] + 0.5
        assert not len(centers) or distance(centers, ring).max() < 0.25
        differing, total = differing + len(centers), total + ours.size
    assert differing < 0.006 * total


def test_boxes_of_whole_numbers_are_slices_and_their_neighbors_share_no_pixel():
    random = np.random.default_rng(2)
    for x, y, width, height in random.integers(1, 20, (50, 4)).tolist():
        expected = np.zeros((40, 40), bool)
        expected[y : y + height, x : x + width] = True
        np.testing.assert_array_equal(draw(rectangle(x, y, x + width, y + height), (40, 40)), expected)
    corners = np.array([(0, 0), (40, 0), (40, 40), (0, 40)], float)
    middle = np.array((13.5, 21.5))  # the center of a pixel: each pixel belongs to one triangle, those on edges too
    fans = [
        draw(Polygon(np.stack([middle, a, b])), (40, 40)) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)
    ]
    np.testing.assert_array_equal(sum(fan.astype(int) for fan in fans), 1)


def test_a_ring_that_crosses_itself_is_filled_by_the_even_odd_rule_and_rings_unite():
    twice = np.array([(0, 0), (10, 0), (10, 10), (0, 10), (0, 0), (8, 0), (8, 8), (0, 8)], float)
    expected = np.ones((10, 10), bool)
    expected[:8, :8] = False
    np.testing.assert_array_equal(draw(Polygon(twice), (10, 10)), expected)
    square = np.array([(0, 0), (6, 0), (6, 6), (0, 6)], float)
    both = Polygon(square, square + 3)
    assert draw(both, (10, 10)).sum() == 36 + 36 - 9
    assert both.area == 72


def test_far_corners_are_cut_off_at_the_image():
    region = Polygon(np.array([(-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6)]))
    assert draw(region, (5, 7)).all()
    assert not draw(rectangle(50, 50, 60, 60), (5, 7)).any()
    assert not draw(Bitmap("here", -30, 90, 4, 4, lambda: np.ones((4, 4), bool)), (5, 7)).any()


@pytest.mark.parametrize("angle", [0, 30, 90, 137])
def test_ellipse_and_turned_box_follow_their_equations(angle):
    y, x = np.mgrid[:60, :80] + 0.5
    turn = np.radians(angle)  # clockwise on the screen
    along, across = (
        (x - 41) * np.cos(turn) + (y - 28) * np.sin(turn),
        (y - 28) * np.cos(turn) - (x - 41) * np.sin(turn),
    )
    ellipse = (along / 21.3) ** 2 + (across / 9.7) ** 2 <= 1
    np.testing.assert_array_equal(draw(Ellipse(41, 28, 21.3, 9.7, angle), (60, 80)), ellipse)
    box = (abs(along) < 21.3) & (abs(across) < 9.7)
    np.testing.assert_array_equal(draw(rectangle(41 - 21.3, 28 - 9.7, 41 + 21.3, 28 + 9.7, angle), (60, 80)), box)
    assert not draw(Ellipse(41, 28, 0, 9), (60, 80)).any()


def test_paint_counts_what_covers_nothing_and_what_reaches_outside():
    layers = [
        Layer("a", rectangle(0, 0, 4, 4)),
        Layer(None, rectangle(2, 2, 9, 3)),
        Layer("b", rectangle(1.6, 1.6, 2.4, 2.4)),  # between four centers
    ]
    label, counts = paint(layers, (4, 5), {"a": 1, "b": 2}, background=7)
    np.testing.assert_array_equal(label, [[1, 1, 1, 1, 7], [1, 1, 1, 1, 7], [1, 1, 255, 255, 255], [1, 1, 1, 1, 7]])
    assert counts == {"empty": 1, "outside": 1}


@pytest.mark.parametrize("compressed", [False, True])
def test_run_length_masks_are_exact(compressed):
    mask = np.random.default_rng(1).random((13, 9)) < 0.5
    region = Rle(k.coco_rle(mask, compressed), "here")
    np.testing.assert_array_equal(draw(region, mask.shape), mask)
    assert region.area == mask.sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": [13]}, "size: expected [height, width]"),
        ({"size": [13, 10**9]}, "size: expected [height, width]"),
        ({"counts": [5, -2, 114]}, "not negative"),
        ({"counts": [5, 2]}, "the runs cover 7 pixels, size 13x9 has 117"),
        ({"counts": 7}, "counts: expected a list or text, found 7"),
    ],
)
def test_damaged_runs_are_named(change, message):
    with pytest.raises(UserError) as caught:
        Rle({**k.coco_rle(np.ones((13, 9), bool), False), **change}, "here")
    assert message in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("zzzz", "damaged"), ("0", "ends too early"), ("\xe9", "damaged")])
def test_damaged_compressed_runs_are_named(text, message):
    with pytest.raises(UserError, match=message):
        Rle({"size": [13, 9], "counts": text}, "here").draw((13, 9))


def test_a_mask_of_another_size_is_named():
    with pytest.raises(UserError, match="run-length mask of 13x9, the image is 9x13"):
        Rle(k.coco_rle(np.ones((13, 9), bool), True), "here").draw((9, 13))
