"""The operators of the decoders and of the labels in NumPy, in float64, written without regard to speed."""

import numpy as np


def conv(x, weight, bias=None):
    """[B, C, H, W] with [O, C, k, k], stride 1, padding k // 2 -> [B, O, H, W]."""
    size = weight.shape[-1]
    height, width = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (size // 2,) * 2, (size // 2,) * 2))
    y = sum(
        np.einsum("oc,bchw->bohw", weight[:, :, i, j], padded[:, :, i : i + height, j : j + width])
        for i in range(size)
        for j in range(size)
    )
    return y if bias is None else y + bias[:, None, None]


def batch_norm(x, p, name):
    """Batch norm with running statistics, with the parameters ``name``."""
    y = (x - p[f"{name}.moving_mean"][:, None, None]) / np.sqrt(p[f"{name}.moving_variance"][:, None, None] + 1e-5)
    return y * p[f"{name}.gamma"][:, None, None] + p[f"{name}.beta"][:, None, None]


def conv_norm_relu(x, p, name):
    """Convolution, batch norm with running statistics, ReLU, with the parameters ``name``.conv and ``name``.bn."""
    return np.maximum(batch_norm(conv(x, p[f"{name}.conv.weight"]), p, f"{name}.bn"), 0)


def adaptive_pool(x, side):
    """[B, C, H, W] -> [B, C, side, side]: bin r covers floor(r n / side) .. ceil((r + 1) n / side) - 1."""
    y, (height, width) = np.empty((*x.shape[:2], side, side)), x.shape[2:]
    for i, j in np.ndindex(side, side):
        rows = slice(i * height // side, -(-(i + 1) * height // side))
        y[:, :, i, j] = x[:, :, rows, j * width // side : -(-(j + 1) * width // side)].mean((2, 3))
    return y


def resize(x, size):
    """Bilinear, half-pixel centers, pixel by pixel: [B, C, h, w] -> [B, C, H, W]."""
    (height, width), (new_height, new_width) = x.shape[2:], size
    y = np.empty((*x.shape[:2], new_height, new_width))
    for i in range(new_height):
        row = min(max((i + 0.5) * height / new_height - 0.5, 0), height - 1)
        top, down = int(row), min(int(row) + 1, height - 1)
        for j in range(new_width):
            column = min(max((j + 0.5) * width / new_width - 0.5, 0), width - 1)
            left, right = int(column), min(int(column) + 1, width - 1)
            upper = x[:, :, top, left] * (1 - column + left) + x[:, :, top, right] * (column - left)
            lower = x[:, :, down, left] * (1 - column + left) + x[:, :, down, right] * (column - left)
            y[:, :, i, j] = upper * (1 - row + top) + lower * (row - top)
    return y


def majority(label, size, classes, purity, ignore=255):
    """Label [B, H, W] -> [B, h, w], cell by cell: a pixel is in the cell that its center lies in."""
    (height, width), found = label.shape[1:], np.full((len(label), *size), ignore)
    rows = [int((y + 0.5) * size[0] / height) for y in range(height)]
    columns = [int((x + 0.5) * size[1] / width) for x in range(width)]
    for b, i, j in np.ndindex(found.shape):
        own = [
            label[b, y, x]
            for y in range(height)
            for x in range(width)
            if (rows[y], columns[x]) == (i, j) and label[b, y, x] != ignore
        ]
        counts = [own.count(c) for c in range(classes)]
        if own and max(counts) >= purity * len(own):
            found[b, i, j] = counts.index(max(counts))
    return found
