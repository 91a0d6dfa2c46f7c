"""CPT in NumPy, in float64, written from the method's description without regard to speed.

``p`` holds parameters by name; ``name`` is the prefix of a block's.
"""

from math import erf

import numpy as np

from tests.losses.consistency_reference import nearest
from tests.models.reference import conv, conv_norm_relu, resize


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def layer_norm(x, p, name):
    """Over the last axis."""
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return x * p[f"{name}.gamma"] + p[f"{name}.beta"]


def channel_norm(x, p, name):
    return layer_norm(x.transpose(0, 2, 3, 1), p, name).transpose(0, 3, 1, 2)


def linear(x, p, name):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def biased_conv(x, p, name):
    return conv(x, p[f"{name}.weight"], p[f"{name}.bias"])


def depthwise(x, p, name):
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    return np.concatenate([conv(x[:, [c]], weight[[c]], bias[[c]]) for c in range(x.shape[1])], 1)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def shares(logits, assignment, label=None):
    """Step 1: [B, K, h, w], what share of a pixel is of which class."""
    classes = np.arange(logits.shape[1])[None, :, None, None]
    if assignment == "soft":
        return softmax(logits, 1)
    if label is not None:
        return (classes == nearest(label, logits.shape[2:])[:, None]).astype(float)
    return (classes == logits.argmax(1)[:, None]).astype(float)


def image_prototypes(x, a, min_mass=1e-3):
    """Step 2: prototypes [B, K, D] (zero where absent), whether a class is present [B, K], its pixels [B, K]."""
    batch, classes = a.shape[:2]
    prototypes = np.zeros((batch, classes, x.shape[1]))
    mass = a.sum((2, 3))
    for b in range(batch):
        for k in range(classes):
            if mass[b, k] > min_mass:
                prototypes[b, k] = (x[b] * a[b, k]).sum((1, 2)) / mass[b, k]
    return prototypes, mass > min_mass, mass


def update_memory(memory, updates, x, a, momentum):
    """Step 3: the memory [K, D] and its counts [K] after one training step."""
    prototypes, present, mass = image_prototypes(x, a)
    memory, updates = memory.copy(), updates.copy()
    for k in range(memory.shape[0]):
        images = np.flatnonzero(present[:, k])
        if images.size:
            mean = (prototypes[images, k] * mass[images, k, None]).sum(0) / mass[images, k].sum()
            memory[k] = mean if updates[k] == 0 else momentum * memory[k] + (1 - momentum) * mean
            updates[k] += 1
    return memory, updates


def refined_prototypes(x, a, p, name):
    """Step 4: [B, K, D] and which may be attended to [B, K]."""
    prototypes, present, _ = image_prototypes(x, a)
    usable = present.copy()
    if f"{name}.memory.prototypes" in p:
        memory, seen = p[f"{name}.memory.prototypes"], p[f"{name}.memory.updates"] > 0
        for b, k in np.ndindex(*present.shape):
            if present[b, k]:
                gate = sigmoid(linear(np.concatenate([prototypes[b, k], memory[k]]), p, f"{name}.gate"))
                prototypes[b, k] = gate * prototypes[b, k] + (1 - gate) * memory[k]
            else:
                prototypes[b, k] = memory[k]
                usable[b, k] = seen[k]
    return layer_norm(prototypes, p, f"{name}.norm"), usable


def cross_attention(lateral, tokens, usable, heads, p, name):
    """The attention of step 5, before the output projection: [B, D, H, W], and its weights [B, heads, H W, N]."""
    batch, channels, height, width = lateral.shape
    depth = channels // heads
    q = biased_conv(depthwise(channel_norm(lateral, p, f"{name}.query_norm"), p, f"{name}.query_depthwise"), p,
                    f"{name}.query")  # fmt: skip
    k, v = np.split(linear(tokens, p, f"{name}.kv"), 2, -1)
    y = np.empty_like(lateral)
    weights = np.zeros((batch, heads, height * width, tokens.shape[1]))
    for b in range(batch):
        chosen = np.flatnonzero(usable[b]) if usable[b].any() else np.arange(tokens.shape[1])
        for head in range(heads):
            part = slice(head * depth, head * depth + depth)
            affinity = q[b, part].reshape(depth, -1).T @ k[b, chosen, part].T / np.sqrt(depth)
            w = softmax(affinity, -1)
            weights[b, head][:, chosen] = w
            y[b, part] = (w @ v[b, chosen, part]).T.reshape(depth, height, width)
    return y, weights


def block(lateral, source, p, name, heads, assignment="hard", pixels=False, label=None):
    """Reconstructed map, assignment logits, attention weights."""
    logits = biased_conv(source, p, f"{name}.assign")
    if pixels:
        tokens = channel_norm(source, p, f"{name}.source_norm")
        tokens = tokens.reshape(*tokens.shape[:2], -1).transpose(0, 2, 1)
        usable = np.ones(tokens.shape[:2], bool)
    else:
        a = shares(logits, assignment, label)
        tokens, usable = refined_prototypes(source, a, p, f"{name}.prototypes")
    y, weights = cross_attention(lateral, tokens, usable, heads, p, name)
    y = lateral + biased_conv(y, p, f"{name}.proj")
    inner = gelu(depthwise(biased_conv(channel_norm(y, p, f"{name}.mlp_norm"), p, f"{name}.mlp.expand"), p,
                           f"{name}.mlp.depthwise"))  # fmt: skip
    return y + biased_conv(inner, p, f"{name}.mlp.project"), logits, weights


def decoder(maps, p, heads, output_level=0, fusion="concat", **options):
    """Logits in evaluation."""
    x = conv_norm_relu(maps[3], p, f"laterals.{3 - output_level}")
    pyramid = [x]
    for i, level in enumerate(range(2, output_level - 1, -1)):
        lateral = conv_norm_relu(maps[level], p, f"laterals.{level - output_level}")
        x = block(lateral, x, p, f"blocks.{i}", heads, **options)[0]
        pyramid.append(x)
    if fusion == "concat":
        x = conv_norm_relu(np.concatenate([resize(one, x.shape[2:]) for one in pyramid[::-1]], 1), p, "fuse")
    return biased_conv(x, p, "classifier")
