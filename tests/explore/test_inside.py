"""The maps, bars and matrices of each decoder, on random arrays."""

import numpy as np
import pytest

from src.explain.csnet import similarity_to
from src.explore import inside
from src.explore.inside import Choice

GENERATOR = np.random.default_rng(0)
CHOICE = Choice(category=2, pixel=(39, 0), size=(40, 60))


def random(*shape):
    return GENERATOR.standard_normal(shape).astype(np.float32)


def maps(found):
    return {name: one for group in found.groups for name, one in group.maps.items()}


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def test_ecenet():
    arrays = {f"mask_{level}": random(1, 3, 10 >> level, 16 >> level) for level in range(4)}
    shares = {f"diversity_{level}": GENERATOR.random((1, 10 >> level, 16 >> level)) + 0.01 for level in range(4)}
    found = maps(inside.ecenet({**arrays, **shares}))
    assert [one.title for one in found.values()][:2] == ["M3, stride 32", "M2, stride 16"]
    np.testing.assert_allclose(found["mask_0"].values(CHOICE), sigmoid(arrays["mask_3"][0, 2]), rtol=1e-5)
    np.testing.assert_allclose(found["mask_3"].values(CHOICE), sigmoid(arrays["mask_0"][0, 2]), rtol=1e-5)
    assert found["mask_sum"].values(CHOICE).shape == (10, 16)
    expected = np.log10(shares["diversity_1"][0] * 40)
    np.testing.assert_allclose(found["diversity_1"].values(CHOICE), expected)
    assert not [name for name in maps(inside.ecenet(arrays)) if name.startswith("diversity")]


def test_the_sum_of_masks_of_one_size_is_the_sigmoid_of_their_sum():
    arrays = {f"mask_{level}": random(1, 3, 4, 6) for level in range(4)}
    found = maps(inside.ecenet(arrays))["mask_sum"].values(CHOICE)
    np.testing.assert_allclose(found, sigmoid(sum(mask[0, 2] for mask in arrays.values())), rtol=1e-5)


def test_cpt():
    sizes = {0: (10, 15), 1: (5, 8), 2: (3, 4)}
    attention = {f"attention_{level}": GENERATOR.random((1, *size, 3)) for level, size in sizes.items()}
    memory = {f"memory_{level}": random(3, 8) for level in sizes}
    masks = {f"mask_{level}": random(1, 3, *size) for level, size in sizes.items()}
    found = inside.cpt({**masks, **attention, **memory})
    np.testing.assert_array_equal(found.attention_of(CHOICE)["block 0"], attention["attention_0"][0, 9, 0])
    np.testing.assert_array_equal(maps(found)["attention_block 1"].values(CHOICE), attention["attention_1"][0, ..., 2])
    unit = memory["memory_2"] / np.linalg.norm(memory["memory_2"], axis=1)[:, None]
    np.testing.assert_allclose(found.prototypes["block 2"], unit @ unit.T, atol=1e-6)
    without = inside.cpt(masks)
    assert not without.attention_of(CHOICE) and not without.prototypes and set(maps(without)) < set(maps(found))


@pytest.mark.parametrize(("pixel", "position"), [((39, 0), (9, 0)), ((0, 59), (0, 14))])
def test_csnet(pixel, position):
    features = random(1, 5, 10, 15)
    found = maps(inside.csnet({"consistent": features}))["similarity"]
    values = found.values(Choice(0, pixel, (40, 60)))
    np.testing.assert_array_equal(values, similarity_to(features[0], position))
    assert values[position] == pytest.approx(1.0) and found.limits == (-1.0, 1.0)
