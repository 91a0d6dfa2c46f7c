"""Category Prototype Transformer (CPT).

Paper: "Category Prototype Transformer", IEEE Transactions on Image Processing 2025.
From the paper (its abstract): scales of a pyramid are aligned by *feature reconstruction*, as a Query Update (Q-UP):
affinities between every pixel of a fine query map and a coarse map carry the coarse features to the fine resolution,
globally and depending on the data, where others interpolate. The coarse pixels are replaced by the prototypes of
their categories, each the mean of all its pixels, and a memory holds prototypes of the whole data set. It works
even when the finest map is at stride 32.
Our reading: every formula below and all defaults, since the abstract gives none (docs/cpt.md lists the choices).
"""

import mindspore as ms
from mindspore import nn, ops
from mindspore.common.initializer import Normal

from src.models.decoders.prototypes import Prototypes
from src.models.layers.attention import Attention
from src.models.layers.blocks import ConvMLP, ConvNormReLU
from src.models.layers.convolution import classifier, pointwise
from src.models.layers.dense import Dense
from src.models.layers.depthwise import Depthwise
from src.models.layers.dropout import ChannelDropout
from src.models.layers.norm import ChannelLayerNorm
from src.models.layers.resize import resize_bilinear

EXCLUDED = -1e4  # logit of a class that nothing may attend to; within the range of fp16


class CPTBlock(nn.Cell):
    """Fills a fine query map with what a coarse source map holds, through the source's prototypes or its pixels.

    Args:
        num_classes: K.
        channels: D, of both maps.
        heads: of the attention; must divide D.
        mlp_ratio: width inside the convolutional MLP, in D.
        source: ``prototypes``, or ``pixels`` for cross-attention to all pixels of the source.
        assignment, momentum, min_mass: see `Prototypes`; they have no effect on ``pixels``.
        gelu: ``exact`` or ``tanh``, the approximation.
    """

    def __init__(self, num_classes, channels, heads, mlp_ratio, source, assignment, momentum, min_mass, gelu):
        super().__init__()
        self.channels, self.heads, self.depth = channels, heads, channels // heads
        self.assign = classifier(channels, num_classes)
        self.pixels = source == "pixels"
        if self.pixels:
            self.source_norm = ChannelLayerNorm(channels)
        else:
            self.prototypes = Prototypes(num_classes, channels, assignment, momentum, min_mass)
        self.query_norm = ChannelLayerNorm(channels)
        self.query_depthwise = Depthwise(channels)
        self.query = pointwise(channels, channels)
        self.kv = Dense(channels, 2 * channels, weight_init=Normal(channels**-0.5))
        self.attention = Attention()
        self.proj = pointwise(channels, channels)
        self.mlp_norm = ChannelLayerNorm(channels)
        self.mlp = ConvMLP(channels, mlp_ratio, gelu == "tanh")
        self.unstack = ops.Unstack(0)

    def construct(self, lateral, source, label=None):
        """Lateral [B, D, H, W], source [B, D, h, w], label int32 [B, H', W'] or None.

        Returns:
            The reconstructed map [B, D, H, W], the logits of the assignment [B, K, h, w], and the attention
            [B, heads, H * W, N] over N = K prototypes or N = h * w pixels.
        """
        logits = self.assign(source)
        q = self.split_heads(self.query(self.query_depthwise(self.query_norm(lateral))))
        if self.pixels:
            k, v = self.keys_values(self.source_norm(source).reshape(ops.shape(source)[:2] + (-1,)).transpose(0, 2, 1))
        else:
            tokens, usable = self.prototypes(source, logits, label)
            k, v = self.keys_values(tokens)
            # The mask enters the product of queries and keys as one more channel: no addition to [B, h, P, K].
            # If all are excluded (a label without any class, an empty memory), all prototypes are equal anyway.
            excluded = ((1.0 - usable) * EXCLUDED).astype(k.dtype).expand_dims(1).expand_dims(3)
            k = ops.cat((k, ops.tile(excluded, (1, self.heads, 1, 1))), 3)
            q = ops.cat((q, ops.ones_like(q[:, :, :, :1])), 3)
        y, attention = self.attention(q, k, v)
        y = lateral + self.proj(y.transpose(0, 1, 3, 2).reshape(ops.shape(lateral)))
        return y + self.mlp(self.mlp_norm(y)), logits, attention

    def split_heads(self, q):
        """[B, D, H, W] -> [B, heads, H * W, d]."""
        batch = ops.shape(q)[0]
        return q.reshape(batch, self.heads, self.depth, -1).transpose(0, 1, 3, 2)

    def keys_values(self, tokens):
        """[B, N, D] -> keys, already scaled, and values, each [B, heads, N, d]."""
        batch, count, _ = ops.shape(tokens)
        kv = self.kv(tokens).reshape(batch, count, 2, self.heads, self.depth).transpose(2, 0, 3, 1, 4)
        k, v = self.unstack(kv)
        return k * self.depth**-0.5, v


class CPT(nn.Cell):
    """Pyramid whose levels are filled from the next coarser one by CPT blocks, from stride 32 down.

    The options are explained in ``src.schema.decoders.CPTConfig``; 3 - ``output_level`` blocks run.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: K.

    Attributes:
        blocks: in the order in which they run: at level 2, 1, 0.
        needs_label: whether ``construct`` must be given the label in training.
        EXPLAINS: names of what ``explain`` returns.
    """

    OUTPUTS = ("logits", "assignment", "features")

    def __init__(
        self,
        in_channels,
        num_classes,
        *,
        channels,
        heads,
        mlp_ratio,
        gelu,
        dropout,
        source,
        assignment,
        memory,
        min_mass,
        output_level,
        fusion,
    ):
        super().__init__()
        self.output_level = output_level
        self.num_classes = num_classes
        self.needs_label = assignment == "teacher" and source == "prototypes" and output_level < 3
        self.remembers = memory is not None and source == "prototypes" and output_level < 3
        levels = range(2, output_level - 1, -1)
        self.laterals = nn.CellList([ConvNormReLU(width, channels, 1) for width in in_channels[output_level:]])
        self.blocks = nn.CellList(
            [
                CPTBlock(
                    num_classes, channels, heads, mlp_ratio,
                    source, assignment, memory["momentum"] if memory else None, min_mass, gelu,
                )
                for _ in levels
            ]
        )  # fmt: skip
        self.concat = fusion == "concat"
        if self.concat:
            self.fuse = ConvNormReLU((4 - output_level) * channels, channels, 3)
        self.dropout = ChannelDropout(dropout)
        self.classifier = classifier(channels, num_classes)
        self.argmax = ops.Argmax(1, ms.int32)
        kinds = ("assignment",) if source == "pixels" else ("assignment", "attention")
        kinds += ("memory", "updates") if self.remembers else ()
        self.EXPLAINS = tuple(f"{kind}_{level}" for level in levels for kind in kinds)

    def pyramid(self, features, label=None):
        """Four maps -> maps [B, D, H_i, W_i], coarsest first, and per block logits and attention."""
        x = self.laterals[-1](features[3])
        maps, logits, attentions = (x,), (), ()
        for i, block in enumerate(self.blocks):
            level = 2 - i
            x, assigned, attention = block(self.laterals[level - self.output_level](features[level]), x, label)
            maps += (x,)
            logits += (assigned,)
            attentions += (attention,)
        return maps, logits, attentions

    def merge(self, maps):
        """The pyramid, coarsest first -> the map before the classifier, at the size of the finest."""
        finest = maps[-1]
        if not self.concat:
            return finest
        size = ops.shape(finest)[2:]
        resized = ()
        for one in maps[:-1]:
            resized = (resize_bilinear(one, size), *resized)
        return self.fuse(ops.cat((finest, *resized), 1))

    def embed(self, features):
        """Four maps -> the map before the classifier, at the output level."""
        return self.merge(self.pyramid(features)[0])

    def construct(self, features, label=None):
        """Four maps [B, C_i, H_i, W_i] -> logits [B, K, H_l, W_l], l the output level; in training see OUTPUTS.

        ``label``, int32 [B, H, W], is read in training by ``assignment: teacher`` only. The second training output
        is a tuple with the logits of every block's assignment, at the sizes of their sources.
        """
        maps, assignments, _ = self.pyramid(features, label)
        embedded = self.merge(maps)
        logits = self.classifier(self.dropout(embedded))
        if self.training:
            return logits, assignments, embedded
        return logits

    def explain(self, features):
        """Four maps -> what EXPLAINS names, per block (call it in evaluation).

        ``assignment``: classes, int32 [B, h, w]; ``attention``: of every pixel over the classes, mean of the heads,
        [B, H, W, K]; ``memory``: prototypes [K, D]; ``updates``: how often each was updated, int32 [K].
        """
        maps, logits, attentions = self.pyramid(features)
        explained = ()
        for i, block in enumerate(self.blocks):
            explained += (self.argmax(logits[i]),)
            if not block.pixels:
                batch, _, height, width = ops.shape(maps[i + 1])
                explained += (ops.reduce_mean(attentions[i], 1).reshape(batch, height, width, self.num_classes),)
            if self.remembers:
                explained += (block.prototypes.memory.prototypes + 0.0, block.prototypes.memory.updates + 0)
        return explained

    def report(self):
        """How full the memories are, a line for the log; None without a memory."""
        if not self.remembers:
            return None
        seen = [int((block.prototypes.memory.updates.asnumpy() > 0).sum()) for block in self.blocks]
        counts = ", ".join(f"{count} at level {2 - i}" for i, count in enumerate(seen))
        return f"prototype memory, of {self.num_classes} classes seen so far: {counts}"
