"""Division into training and validation."""

import numpy as np
import pytest

from src.data.importers.split import divide, group_names
from src.errors import UserError


def random_presence(seed, images=120, classes=12):
    """Classes from frequent to rare, the rarest in two images or so."""
    random = np.random.default_rng(seed)
    presence = random.random((images, classes)) < np.geomspace(1, 2 / images, classes)
    presence[:, 0] = True
    return presence


@pytest.mark.parametrize("seed", range(8))
def test_every_class_of_two_images_is_in_both_splits_and_shares_are_kept(seed):
    presence = random_presence(seed)
    is_val = divide(presence, [str(i) for i in range(120)], 0.2, seed)
    often = presence.sum(axis=0) >= 2
    assert (presence[is_val].any(axis=0) & presence[~is_val].any(axis=0))[often].all()
    assert abs(is_val.sum() - 24) <= 3
    frequent = presence.sum(axis=0) >= 20
    share = presence[is_val].sum(axis=0)[frequent] / presence.sum(axis=0)[frequent]
    assert (abs(share - 0.2) < 0.08).all()


@pytest.mark.parametrize("seed", range(8))
def test_groups_never_straddle_and_their_classes_are_shared_where_two_groups_have_them(seed):
    random = np.random.default_rng(seed)
    presence = random_presence(seed)
    groups = [f"scene{value}" for value in random.integers(0, 25, 120)]
    is_val = divide(presence, groups, 0.25, seed)
    sides = {}
    for group, val in zip(groups, is_val, strict=True):
        assert sides.setdefault(group, val) == val
    for shown in presence.T:
        if len({group for group, there in zip(groups, shown, strict=True) if there}) >= 2:
            assert shown[is_val].any()
            assert shown[~is_val].any()
    assert 15 <= is_val.sum() <= 45


def test_the_seed_decides_and_nothing_else():
    presence, groups = random_presence(0), [str(i) for i in range(120)]
    first = divide(presence, groups, 0.2, 3)
    np.testing.assert_array_equal(first, divide(presence, groups, 0.2, 3))
    assert (first != divide(presence, groups, 0.2, 4)).any()


@pytest.mark.parametrize("seed", range(8))
def test_large_groups_are_dealt_first_while_there_is_room(seed):
    sizes = [20, 30, 20, 30]
    groups = [str(group) for group, size in enumerate(sizes) for _ in range(size)]
    assert divide(np.ones((100, 1), bool), groups, 0.2, seed).sum() == 20


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
@pytest.mark.parametrize("images", [2, 3, 5])
def test_small_sets_have_images_on_both_sides(images, share):
    for presence in (np.ones((images, 1), bool), np.eye(images, dtype=bool), np.zeros((images, 2), bool)):
        is_val = divide(presence, [str(i) for i in range(images)], share, 0)
        assert 0 < is_val.sum() < images


def test_a_rare_class_is_shared_even_if_dealing_would_not():
    """Both images of class 1 would go to training, as 0.2 of two images is less than half an image."""
    presence = np.ones((20, 2), bool)
    presence[2:, 1] = False
    is_val = divide(presence, [str(i) for i in range(20)], 0.2, 0)
    assert is_val[:2].sum() == 1
    assert is_val.sum() == 4


def test_one_group_cannot_be_divided():
    with pytest.raises(UserError, match="there is only one group"):
        divide(np.ones((4, 1), bool), ["a"] * 4, 0.2, 0)


def test_group_is_the_first_capture_or_the_match():
    names = ["tree1_a.jpg", "tree1_b.jpg", "sub/tree2_a.jpg", "other.jpg"]
    groups, alone = group_names(names, r"tree(\d)_")
    assert groups[0] == groups[1] != groups[2]
    assert (len(set(groups)), alone) == (3, 1)
    assert group_names(names, "tree._")[0][:2] == ["group:tree1_"] * 2
    assert group_names(names, None) == (names, 0)
    with pytest.raises(UserError, match="--group tre.e: matches no file name, for example not tree1_a.jpg"):
        group_names(names, "tre.e")
    with pytest.raises(UserError, match="not a regular expression"):
        group_names(names, "(")
