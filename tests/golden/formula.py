"""Weights and images as a formula of name and index, so that two frameworks can have the same without a file."""

import zlib

import numpy as np


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [-1, 1), fp32, that look random: a hash of the name and the index in row-major order."""
    count = int(np.prod(shape))
    bits = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(zlib.crc32(name.encode()))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = (bits ^ (bits >> np.uint32(shift))) * np.uint32(factor)
    bits ^= bits >> np.uint32(16)
    return (bits.astype(np.float64) / 2**31 - 1).astype(np.float32).reshape(shape)


def image(height: int, width: int, batch: int = 1) -> np.ndarray:
    """Normalized images [batch, 3, height, width] of about unit variance."""
    return uniform("image", (batch, 3, height, width)) * np.float32(3**0.5)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter or buffer under its PyTorch name; nothing has its usual initial value."""
    values = uniform(name, shape)
    if name.endswith("running_var"):
        return np.float32(1) + np.float32(0.5) * values
    if name.endswith("relative_position_bias_table"):
        return values
    if len(shape) == 1:
        return np.float32(0.6) + np.float32(0.3) * values if name.endswith("weight") else np.float32(0.2) * values
    return values * np.float32((4.5 / np.prod(shape[1:])) ** 0.5)  # variance 1.5 / fan-in


def sample(feature: np.ndarray) -> np.ndarray:
    """Some of a map [1, C, H, W]: up to 8 channels, 9 rows and 9 columns from end to end, fp32."""
    axes = [np.unique(np.linspace(0, n - 1, k).astype(int)) for n, k in zip(feature.shape[1:], (8, 9, 9), strict=True)]
    return feature[0][np.ix_(*axes)].astype(np.float32)


def sample_gradient(gradient: np.ndarray) -> np.ndarray:
    """L2 norm of a gradient and up to 7 of its numbers from end to end, fp32."""
    flat = gradient.reshape(-1)
    some = flat[np.unique(np.linspace(0, flat.size - 1, 7).astype(int))]
    return np.append(np.linalg.norm(flat.astype(np.float64)), some).astype(np.float32)
