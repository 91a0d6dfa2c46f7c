"""Class-aware consistency in NumPy, in float64, with loops, and its gradient by finite differences."""

import numpy as np

from tests.models.reference import majority


def length(x):
    """[..., C] -> [...]."""
    return np.sqrt((x**2).sum(-1))


def intra_and_inter(pixels, ids, distance, min_pixels, margins, weighting):
    """Pixels [P, C], ids [P] -> intra, inter, number of classes with enough pixels."""
    delta_v, delta_d = margins
    if distance == "cosine":
        pixels = pixels / np.sqrt(length(pixels) ** 2 + 1e-8)[:, None]
    power = {"mean": 0, "sqrt": 0.5, "pixels": 1}[weighting]
    centers, weights, intra, inter, pairs = [], [], [], [], []
    for c in sorted(set(ids.tolist()) - {255}):
        own = pixels[ids == c]
        if len(own) < min_pixels:
            continue
        center = own.mean(0)
        if distance == "cosine":
            center = center / np.sqrt(length(center) ** 2 + 1e-8)
            intra.append(np.maximum(1 - own @ center - delta_v, 0).mean())
        else:
            intra.append((np.maximum(length(own - center) - delta_v, 0) ** 2).mean())
        centers.append(center)
        weights.append(len(own) ** power)
    for a in range(len(centers)):
        for b in range(len(centers)):
            pairs += [weights[a] * weights[b]] if a != b else []
            if a != b and distance == "cosine":
                inter.append(max(centers[a] @ centers[b] - delta_d, 0))
            elif a != b:
                inter.append(max(2 * delta_d - length(centers[a] - centers[b]), 0) ** 2)
    within = np.dot(intra, weights) / sum(weights) if intra else 0.0
    between = np.dot(inter, pairs) / sum(pairs) if inter else 0.0
    return within, between, len(centers)


def consistency(features, label, distance, scope, min_pixels, margins, purity=0.75, weighting="mean"):
    """Features [B, C, h, w], label [B, H, W] -> intra, inter."""
    ids = majority(label, features.shape[2:], label[label != 255].max(initial=0) + 1, purity).reshape(len(label), -1)
    pixels = features.reshape(*features.shape[:2], -1).transpose(0, 2, 1)
    if scope == "batch":
        pixels, ids = pixels.reshape(1, -1, pixels.shape[2]), ids.reshape(1, -1)
    found = [intra_and_inter(*pair, distance, min_pixels, margins, weighting) for pair in zip(pixels, ids, strict=True)]
    counted = [(intra, inter) for intra, inter, classes in found if classes]
    return np.mean(counted, axis=0) if counted else np.zeros(2)


def gradient(function, x, step=1e-6):
    """Central differences of the scalar ``function`` at ``x``."""
    x, result = x.copy(), np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + step
        above = function(x)
        x[index] = kept - step
        result[index] = (above - function(x)) / (2 * step)
        x[index] = kept
    return result
