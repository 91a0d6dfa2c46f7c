"""Category Prototype Transformer (CPT).

Paper: Tang, Liu, Liu, Jiang, Zhang, Chen, Han, Wang, "Rethinking Feature Reconstruction via Category Prototype in
Semantic Segmentation", IEEE Transactions on Image Processing 34, 2025.
[paper] Scales of a pyramid are aligned by *feature reconstruction*, as a Query Update (Q-UP): affinities between every
pixel of a fine query map and a coarse map carry the coarse features to the fine resolution, globally and depending on
the data, where others interpolate. The coarse pixels are replaced by the prototypes of their categories, each a mean of
pixel features, and a memory holds prototypes of the whole data set. The backbone is not dilated: its deepest map is at
stride 32, the logits are at stride 4.
[code] Every layer, its place and its norm, the inverted sign in the attention, the memory's update, the initial values:
a public training implementation of the same line of work. That it is the authors' is our inference. This decoder
equals its numbers (tests/golden/pack_cpt.py).
[ours] Biases of convolutions start at 0; ``source: pixels`` and ``bilinear``; ``invert_attention: false``;
``mask_supervision: levels``; the groups of the grouped convolutions are the heads (both are 4 there).
Deviations in form, not in value: layer norms of maps stay in NCHW, pooling and resizing are products with constants.
"""

from mindspore import nn, ops

from src.models.decoders.prototypes import Memory, Prototypes
from src.models.layers.attention import Attention
from src.models.layers.blocks import ConvMLP, ConvNormReLU
from src.models.layers.convolution import classifier, conv, depthwise, pointwise
from src.models.layers.dense import Dense
from src.models.layers.dropout import ChannelDropout
from src.models.layers.initial import initialize_convolutions
from src.models.layers.norm import ChannelLayerNorm
from src.models.layers.resize import resize_bilinear
from src.models.layers.rows import mean_of_rows

EPS = 1e-6  # of the layer norms


class CPTBlock(nn.Cell):
    """Fills a fine map with what a coarse one holds: through the coarse map's prototypes or its pixels, or resized.

    Args:
        num_classes: K.
        channels: D, of both maps.
        heads: of the attention; must divide D.
        mlp_ratio: width inside the convolutional MLP, in D.
        source: ``prototypes``; ``pixels`` for attention to all pixels of the coarse map; ``bilinear`` for no attention.
        momentum: of the memory, or None for no memory; without effect but on ``prototypes``.
        invert: attend with the negative affinities.
        approximate: GELU in the tanh form.
    """

    def __init__(self, num_classes, channels, heads, mlp_ratio, source, momentum, invert, approximate):
        super().__init__()
        self.channels, self.heads, self.depth = channels, heads, channels // heads
        self.source = source
        if source != "bilinear":
            self.norm_low = ChannelLayerNorm(channels, EPS)
        self.norm_high = ChannelLayerNorm(channels, EPS)
        self.mask = nn.SequentialCell(
            pointwise(channels, channels, bias=False, groups=heads), pointwise(channels, num_classes, bias=False)
        )
        if source == "prototypes":
            memory = None if momentum is None else Memory(num_classes, channels, momentum)
            self.prototypes = Prototypes(channels, heads, memory)
        if source != "bilinear":
            self.query_depthwise = depthwise(channels)
            self.query_pointwise = pointwise(channels, channels)
            self.key_value = Dense(channels, 2 * channels)
            self.key_scale = self.depth**-0.5 * (-1 if invert else 1)
            self.attention = Attention()
            self.project = pointwise(channels, channels)
        self.norm_mlp = ChannelLayerNorm(channels, EPS)
        self.mlp = ConvMLP(channels, mlp_ratio, approximate)
        self.unstack = ops.Unstack(0)

    def construct(self, low, high):
        """Fine map [B, D, H, W], coarse map [B, D, h, w].

        Returns:
            The reconstructed map [B, D, H, W], the raw masks of the categories [B, K, h, w], and the attention
            [B, heads, H * W, N] over N = K prototypes or N = h * w pixels, or None without attention. In training the
            memory is updated.
        """
        normalized = self.norm_high(high)
        masks = self.mask(normalized)
        if self.source == "bilinear":
            filling, attention = resize_bilinear(high, ops.shape(low)[2:]), None
        else:
            filling, attention = self.attend(low, normalized, masks)
        y = low + filling
        return y + self.mlp(self.norm_mlp(y)), masks, attention

    def attend(self, low, high, masks):
        """Fine map, normalized coarse map, its masks -> what the fine map takes over [B, D, H, W], the attention."""
        if self.source == "pixels":
            tokens = high.reshape(ops.shape(high)[:2] + (-1,)).transpose(0, 2, 1)
        else:
            tokens = self.prototypes(high, masks)
        query = self.query_pointwise(self.query_depthwise(self.norm_low(low)))
        key, value = self.keys_values(tokens)
        y, attention = self.attention(self.by_head(query), key, value)
        return self.project(y.transpose(0, 1, 3, 2).reshape(ops.shape(low))), attention

    def by_head(self, x):
        """[B, D, H, W] -> [B, heads, H * W, d]."""
        return x.reshape(ops.shape(x)[0], self.heads, self.depth, -1).transpose(0, 1, 3, 2)

    def keys_values(self, tokens):
        """[B, N, D] -> keys, scaled and with the sign of the attention, and values, each [B, heads, N, d]."""
        batch, count, _ = ops.shape(tokens)
        both = self.key_value(tokens).reshape(batch, count, 2, self.heads, self.depth).transpose(2, 0, 3, 1, 4)
        key, value = self.unstack(both)
        return key * self.key_scale, value


class CPT(nn.Cell):
    """Pyramid whose levels are filled from the next coarser one by CPT blocks, from stride 32 up to stride 4.

    The options are explained in ``src.schema.decoders.CPTConfig``; the file of ``memory.init`` is read by
    ``src.weights.loading``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: K.

    Attributes:
        blocks: block i makes level i from level i + 1; they run in the order 2, 1, 0.
        EXPLAINS: names of what ``explain`` returns.
    """

    OUTPUTS = ("logits", "masks", "features")

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
        invert_attention,
        mask_supervision,
        pool_channels,
        source,
        memory,
    ):
        super().__init__()
        self.num_classes, self.by_level = num_classes, mask_supervision == "levels"
        self.laterals = nn.CellList([pointwise(width, channels) for width in in_channels])
        momentum = memory["momentum"] if memory else None
        self.blocks = nn.CellList(
            [
                CPTBlock(num_classes, channels, heads, mlp_ratio, source, momentum, invert_attention, gelu == "tanh")
                for _ in range(3)
            ]
        )
        self.outputs = nn.CellList([conv(channels, channels, 3, bias=True) for _ in range(3)])
        self.fusion = ConvNormReLU(4 * channels, channels, 3)
        self.pool = ConvNormReLU(in_channels[3], pool_channels, 1)
        self.dropout = ChannelDropout(dropout)
        self.classifier = classifier(channels + pool_channels, num_classes)
        initialize_convolutions(self, self.classifier)
        kinds = ("mask", "attention") if source == "prototypes" else ("mask",)
        self.remembers = memory is not None and source == "prototypes"
        kinds += ("memory",) if self.remembers else ()
        self.EXPLAINS = tuple(f"{kind}_{level}" for level in (2, 1, 0) for kind in kinds)

    def pyramid(self, features):
        """Four maps -> maps O_3..O_0 [B, D, H_i, W_i], and per block, in the order 2, 1, 0, masks and attention."""
        x = self.laterals[3](features[3])
        maps, masks, attentions = (x,), (), ()
        for level in (2, 1, 0):
            x, mask, attention = self.blocks[level](self.laterals[level](features[level]), x)
            maps += (self.outputs[level](x),)
            masks += (mask,)
            attentions += (attention,)
        return maps, masks, attentions

    def merge(self, maps, deepest):
        """O_3..O_0 and the backbone's deepest map -> the map before the classifier, at level 0."""
        size = ops.shape(maps[3])[2:]
        resized = ()
        for one in maps[:3]:
            resized += (resize_bilinear(one, size),)
        fused = self.fusion(ops.cat((*resized, maps[3]), 1))
        batch, width = ops.shape(deepest)[:2]
        mean = mean_of_rows(deepest.reshape(batch * width, -1)).reshape(batch, width, 1, 1)
        return ops.cat((fused, resize_bilinear(self.pool(mean), size)), 1)  # of one pixel: it is repeated

    def embed(self, features):
        """Four maps -> the map before the classifier [B, D + pool_channels, H_0, W_0]."""
        return self.merge(self.pyramid(features)[0], features[3])

    def construct(self, features):
        """Four maps [B, C_i, H_i, W_i] -> logits [B, K, H_0, W_0]; in training see OUTPUTS.

        ``masks`` is a tuple with the raw masks of the three blocks [B, K, H_i, W_i] for i = 3, 2, 1; with
        ``mask_supervision: levels`` each in a tuple of its own.
        """
        maps, masks, _ = self.pyramid(features)
        embedded = self.merge(maps, features[3])
        logits = self.classifier(self.dropout(embedded))
        if self.training:
            return logits, tuple([(mask,) for mask in masks]) if self.by_level else masks, embedded
        return logits

    def explain(self, features):
        """Four maps -> what EXPLAINS names, per block (call it in evaluation).

        ``mask``: raw masks [B, K, h, w] on the coarse map; ``attention``: of every pixel over the categories, mean of
        the heads, [B, H, W, K]; ``memory``: prototypes [K, D].
        """
        maps, masks, attentions = self.pyramid(features)
        explained = ()
        for i, level in enumerate((2, 1, 0)):
            explained += (masks[i],)
            if self.blocks[level].source == "prototypes":
                batch, _, height, width = ops.shape(maps[i + 1])
                explained += (ops.reduce_mean(attentions[i], 1).reshape(batch, height, width, self.num_classes),)
            if self.remembers:
                explained += (self.blocks[level].prototypes.memory.prototypes + 0.0,)
        return explained
