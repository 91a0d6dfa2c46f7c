"""Cross entropy in NumPy, in float64."""

import numpy as np


def weights(logits, label, class_weights=None, ohem=None):
    """Weight of every pixel [N, H, W] and its loss [N, H, W]; ``ohem`` is (threshold, min_kept)."""
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    valid = label != 255
    index = np.where(valid, label, 0)
    picked = np.take_along_axis(log_p, index[:, None], 1)[:, 0]
    weight = valid.astype(np.float64)
    if ohem is not None:
        threshold, min_kept = ohem
        hardest = np.sort(np.exp(picked[valid]))[:min_kept]
        weight *= np.exp(picked) < threshold if not hardest.size else np.exp(picked) <= max(hardest[-1], threshold)
    if class_weights is not None:
        weight *= np.asarray(class_weights)[index]
    return weight, -picked, np.exp(log_p), index


def cross_entropy(logits, label, class_weights=None, ohem=None):
    """Value and gradient."""
    weight, loss, p, index = weights(logits, label, class_weights, ohem)
    total = weight.sum() or 1.0
    one_hot = np.arange(logits.shape[1])[None, :, None, None] == index[:, None]
    return (weight * loss).sum() / total, weight[:, None] * (p - one_hot) / total
