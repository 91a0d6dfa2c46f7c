"""Dice, Lovász-softmax and focal loss in NumPy, in float64, by the papers' formulas."""

import numpy as np

from tests.losses import reference


def softmax(logits):
    p = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def region_dice(logits, label):
    """Mean over the classes present in the batch."""
    p, losses = softmax(logits), []
    for k in range(logits.shape[1]):
        y = label == k
        if y.any():
            counted = p[:, k][label != 255]
            losses.append(1 - 2 * p[:, k][y].sum() / (counted.sum() + y.sum()))
    return np.mean(losses) if losses else 0.0


def jaccard(wrong, y):
    """Jaccard loss of a class when the pixels in ``wrong`` are predicted wrong: 1 - |intersection| / |union|."""
    predicted = y ^ wrong
    return 1 - (predicted & y).sum() / (predicted | y).sum()


def lovasz_of_class(errors, y):
    """The Lovász extension by its definition: Σ e_(i) (loss with the i largest errors - with one fewer)."""
    wrong, total, before = np.zeros_like(y), 0.0, 0.0
    for index in np.argsort(-errors):
        wrong[index] = True
        after = jaccard(wrong, y)
        total += errors[index] * (after - before)
        before = after
    return total


def lovasz(logits, label, scope="batch"):
    """Mean over the classes present, per batch or per image with a class."""
    if scope == "image":
        shown = [i for i in range(len(label)) if (label[i] != 255).any()]
        return np.mean([lovasz(logits[i : i + 1], label[i : i + 1]) for i in shown]) if shown else 0.0
    p, counted, losses = softmax(logits), label != 255, []
    for k in range(logits.shape[1]):
        y = (label == k)[counted]
        if y.any():
            losses.append(lovasz_of_class(np.abs(y - p[:, k][counted]), y))
    return np.mean(losses) if losses else 0.0


def focal(logits, label, gamma, class_weights=None):
    """Mean over the labeled pixels, weighted by class."""
    weight, loss, _, _ = reference.weights(logits, label, class_weights)
    return (weight * (1 - np.exp(-loss)) ** gamma * loss).sum() / (weight.sum() or 1.0)


def slope(loss, logits, label, direction, step=1e-7):
    """Derivative of a loss along a direction; the step is so small that no two errors of Lovász change places."""
    ahead, behind = (loss(logits.astype(np.float64) + s * direction, label) for s in (step, -step))
    return (ahead - behind) / (2 * step)
