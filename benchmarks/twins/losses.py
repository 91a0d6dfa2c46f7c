"""The losses of the four decoders; see src/losses. Labels are int64 [B, H, W], 255 is ignored."""

import torch
import torch.nn.functional as F
from torch import nn

from twins.layers import resize

IGNORE = 255
MARGINS = {"cosine": (0.05, 0.1)}


def cross_entropy(logits, label):
    return F.cross_entropy(resize(logits, label.shape[1:]), label, ignore_index=IGNORE)


def mask_losses(masks, label):
    """Focal and dice loss of the classes that each image shows, as SegViT has them; masks of absent classes rest."""
    masks = sum(resize(one, label.shape[1:]) for one in masks)
    one_hot = F.one_hot(torch.where(label == IGNORE, masks.shape[1], label), masks.shape[1] + 1)
    target = one_hot[..., :-1].permute(0, 3, 1, 2).flatten(2)
    present = target.any(2)
    logits, target = masks.flatten(2)[present], target[present].float()  # [pairs, P]
    p = torch.sigmoid(logits)
    wrong = 1 - (p * target + (1 - p) * (1 - target))
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * wrong**2
    focal = ((0.25 * target + 0.75 * (1 - target)) * loss).mean(1)
    dice = 1 - (2 * (p * target).sum(1) + 1) / (p.sum(1) + target.sum(1) + 1)
    pairs = max(len(logits), 1)
    return focal.sum() / pairs, dice.sum() / pairs


def diversity(branches):
    """Branches [B, C, H, W] of the levels."""
    values = []
    for branch in branches:
        largest = torch.softmax(branch.flatten(2), 2).amax(1)
        values.append(1 - largest.sum() / branch.shape[0] / branch.shape[1])
    return torch.stack(values).mean()


def majority_label(label, size, num_classes, purity=0.75):
    """The class that has most pixels of each cell, where it has enough of them: [B, h, w]."""
    batch, height, width = label.shape
    rows, columns = (
        (2 * torch.arange(side) + 1) * n // (2 * side) for n, side in zip(size, (height, width), strict=True)
    )
    cell = torch.arange(batch)[:, None, None] * size[0] * size[1] + rows[:, None] * size[1] + columns
    valid = label != IGNORE
    segment = (cell * num_classes + torch.where(valid, label, 0)).flatten()
    pixels = torch.zeros(batch * size[0] * size[1] * num_classes).index_add(0, segment, valid.float().flatten())
    most, found = pixels.reshape(-1, num_classes).max(1)
    enough = (most > 0) & (most >= purity * pixels.reshape(-1, num_classes).sum(1))
    return torch.where(enough, found, IGNORE).reshape(batch, *size)


def consistency(features, label, num_classes, min_pixels):
    """Cosine distance, classes and centers of each image: intra, inter."""
    height, width = features.shape[2:]
    features = F.normalize(features.flatten(2), dim=1)  # [B, C, P]
    label = majority_label(label, (height, width), num_classes).flatten(1)
    member = F.one_hot(torch.where(label == IGNORE, num_classes, label), num_classes + 1)[..., :-1].float()  # [B, P, K]
    counts = member.sum(1)
    chosen = (counts >= min_pixels).float()
    classes = chosen.sum(1, keepdim=True)
    centers = F.normalize(features @ member, dim=1)  # [B, C, K]
    delta_v, delta_d = MARGINS["cosine"]
    similarity = (features * (centers @ member.transpose(1, 2))).sum(1)  # [B, P]
    weight = chosen / counts.clamp(min=1) / classes.clamp(min=1)
    intra = (F.relu(1 - similarity - delta_v) * (member @ weight[:, :, None]).squeeze(2)).sum()
    pairs = chosen[:, :, None] * chosen[:, None] * (1 - torch.eye(num_classes))
    excess = F.relu(centers.transpose(1, 2) @ centers - delta_d) * pairs
    inter = (excess.sum((1, 2)) / (classes * (classes - 1)).clamp(min=1).squeeze(1)).sum()
    images = (classes > 0).sum().clamp(min=1)
    return intra / images, inter / images


class Criterion(nn.Module):
    """Outputs of a decoder and label -> weighted sum, and the unweighted parts by name.

    Args:
        config: ``losses`` of a configuration; a part that is not there has its usual weight.
    """

    WEIGHTS = {"ce": 1.0, "aux": 0.4, "mask": 5.0, "dice": 2.0, "diversity": 0.2, "consistency": 0.5}

    def __init__(self, config: dict, num_classes: int):
        super().__init__()
        given = {name: section for name, section in config.items() if section}
        self.weights = {name: given.get(name, {}).get("weight", weight) for name, weight in self.WEIGHTS.items()}
        self.min_pixels = given.get("consistency", {}).get("min_pixels", 8)
        self.num_classes = num_classes

    def forward(self, outputs, label):
        parts = {"ce": cross_entropy(outputs["logits"], label)}
        total = self.weights["ce"] * parts["ce"]
        if "auxiliary" in outputs:
            parts["aux"] = cross_entropy(outputs["auxiliary"], label)
            total = total + self.weights["aux"] * parts["aux"]
        if "masks" in outputs:
            parts["mask"], parts["dice"] = mask_losses(outputs["masks"], label)
            total = total + self.weights["mask"] * parts["mask"] + self.weights["dice"] * parts["dice"]
        if "diverse" in outputs:
            parts["diversity"] = diversity(outputs["diverse"])
            total = total + self.weights["diversity"] * parts["diversity"]
        if "consistent" in outputs:
            parts["intra"], parts["inter"] = consistency(
                outputs["consistent"], label, self.num_classes, self.min_pixels
            )  # fmt: skip
            total = total + self.weights["consistency"] * (parts["intra"] + parts["inter"])
        return total, parts
