"""Tables of Swin and MiT: right, and made once per size."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from src.models.layers import token_rows
from tests.models.small import small_backbone


def by_concatenation(tokens, window, shift, pad_first):
    """Windows of a map [H, W] by NumPy's roll and pad; padding is -1."""
    height, width = tokens.shape
    margins = ((0, -height % window), (0, -width % window))

    def pad(x):
        return np.pad(x, margins, constant_values=-1)

    def roll(x):
        return np.roll(x, (-shift[0], -shift[1]), (0, 1))

    grid = roll(pad(tokens)) if pad_first else pad(roll(tokens))
    return np.array(
        [
            grid[top : top + window, left : left + window].reshape(-1)
            for top in range(0, grid.shape[0], window)
            for left in range(0, grid.shape[1], window)
        ]
    )


@pytest.mark.parametrize("pad_first", [True, False])
@pytest.mark.parametrize("size", [(6, 9), (7, 5)], ids=str)
@pytest.mark.parametrize("shift", [(0, 0), (1, 1), (0, 1)], ids=str)
def test_windows_and_back(size, shift, pad_first):
    tokens = np.arange(size[0] * size[1]).reshape(size)
    into, back = (t.asnumpy() for t in token_rows.window_tables(*size, 3, shift, pad_first))
    windows = np.append(tokens.reshape(-1), -1)[into].reshape(-1, 9)
    np.testing.assert_array_equal(windows, by_concatenation(tokens, 3, shift, pad_first))
    np.testing.assert_array_equal(windows.reshape(-1)[back], tokens.reshape(-1))


def test_mask_separates_what_the_shift_brought_together():
    mask = token_rows.attention_mask(6, 6, 3, (1, 1), 2).asnumpy().reshape(4, 2, 9, 9)
    assert not mask[0].any()  # the first window holds neighbors only
    # Bottom right: rows 4, 5 and row 0, columns likewise; tokens 0 and 2 are columns 4 and 0.
    assert mask[3, 0, 0, 1] == 0
    assert mask[3, 0, 0, 2] == token_rows.MASKED
    np.testing.assert_array_equal(mask, mask.transpose(0, 1, 3, 2))
    np.testing.assert_array_equal(mask[:, 0], mask[:, 1])
    assert token_rows.attention_mask(6, 6, 3, (0, 0), 2).shape == (1,)


def test_patch_blocks():
    into, back = (t.asnumpy() for t in token_rows.block_tables(3, 4, 2, True, True))
    assert into.reshape(-1, 4).tolist() == [[0, 4, 1, 5], [2, 6, 3, 7], [8, 12, 9, 12], [10, 12, 11, 12]]
    assert into[back].tolist() == list(range(12))
    into, back = (t.asnumpy() for t in token_rows.block_tables(3, 5, 2, False, False))
    assert into.reshape(-1, 4).tolist() == [[0, 1, 5, 6], [2, 3, 7, 8]]
    assert back.tolist() == [0, 1, 4, 5, 8, 2, 3, 6, 7, 8, 8, 8, 8, 8, 8]


@pytest.mark.parametrize("places", ["more", "fewer", "as many"])
def test_gradient_of_a_move_is_the_move_back(places, mode):
    index = {"more": [2, 3, 0, 3, 1], "fewer": [2, 0], "as many": [1, 2, 0]}[places]
    inverse = token_rows._inverse(np.array(index), 3)
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    weight = np.random.default_rng(0).standard_normal((2, len(index), 2)).astype(np.float32)
    move = token_rows.MoveRows()
    tables = Tensor(np.array(index, np.int32)), Tensor(inverse)
    y = move(Tensor(x), *tables).asnumpy()
    np.testing.assert_array_equal(y, np.concatenate((x, np.zeros((2, 1, 2), np.float32)), 1)[:, index])
    dx = ops.GradOperation(sens_param=True)(move)(Tensor(x), *tables, Tensor(weight)).asnumpy()
    expected = np.zeros((2, 4, 2), np.float32)
    for place, row in enumerate(index):
        expected[:, row] += weight[:, place]
    np.testing.assert_allclose(dx, expected[:, :3])


def test_tables_are_made_once_per_size(mode):
    """Neither a second step at a size nor a second network makes one, in either mode."""
    makers = (token_rows.window_tables, token_rows.attention_mask, token_rows.relative_positions)
    image = Tensor(np.zeros((1, 3, 64, 64), np.float32))
    network = small_backbone("swin_tiny").set_train()
    for maker in makers:
        maker.cache_clear()
    network(image)
    made = [maker.cache_info().misses for maker in makers]
    asked = [maker.cache_info().hits for maker in makers]
    # Four maps, of 16, 8, 4 and 2 tokens a side, and one shifted block.
    assert made == [5, 5, 1]
    network(image)
    assert [maker.cache_info().misses for maker in makers] == made
    if mode == ms.GRAPH_MODE:  # the compiled graph does not even ask
        assert [maker.cache_info().hits for maker in makers] == asked
