"""ECENet: class embeddings extracted explicitly from masks.

Paper: Liu, Liu, Han, Tang, Qin, "Boosting Semantic Segmentation from the Perspective of Explicit Class Embeddings",
ICCV 2023.
From the paper: class embeddings come from class masks instead of being free queries; masks and embeddings inform each
other over the stages; feature reconstruction has an intrinsic and a diverse branch. The three stages are feature
reconstruction (FR), explicit class extraction (ECE), semantics attention and update (SAU).
From the release (the authors' public inference code): every layer, its place and its norm, the inverted sign in the
attention, the raw gate, the ghost upscale, the class branch with the diagonal of a softmax, the number of parameters.
From a public training implementation of the same line of work (``cpt.py``): the initial values; queries without
activation, option ``query_activation``, since the release's convolution module puts a ReLU where none is asked for.
Our reading: what training needs beyond these outputs (``src.losses`` says more). In the release's runtime GELU is the
tanh form, in its training lineage the exact one: option ``gelu``. The options that take parts away or start them
otherwise, for ablations, are ours too: docs/ecenet.md lists them.
Deviations in form, not in value: layer norms of maps stay in NCHW, pooling and resizing are products with constants.
"""

import math

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from src.errors import UserError
from src.models.decoders.class_tokens import ClassExtraction, TokenUpdate, grid_side
from src.models.layers.activation import softmax
from src.models.layers.blocks import ConvMLP, ConvNormReLU
from src.models.layers.convolution import classifier, conv, depthwise, pointwise
from src.models.layers.dense import Dense
from src.models.layers.dropout import ChannelDropout
from src.models.layers.initial import initialize_convolutions
from src.models.layers.norm import ChannelLayerNorm, LayerNorm, norm
from src.models.layers.resize import resize_bilinear
from src.models.layers.rows import mean_of_rows, outer, scale_rows
from src.models.layers.spatial_softmax import SpatialSoftmaxMax


class FeatureReconstruction(nn.Cell):
    """Intrinsic and diverse branch of one stage.

    Args:
        channels: C, even and at least 4; each branch has C / 2. Raises UserError for others.
        branches: those that make the result: ``both``, ``intrinsic`` or ``diverse``.
    """

    def __init__(self, channels, branches):
        super().__init__()
        if channels % 2 or channels < 4:
            raise UserError(
                f"decoder ecenet: feature_reconstruction: found a map of {channels} channels, expected an even number "
                "of at least 4; choose another backbone, or feature_reconstruction: off"
            )
        half = channels // 2
        self.intrinsic = conv(channels, half, 1)
        self.intrinsic_norm = norm(half)
        if branches != "intrinsic":
            self.diverse = depthwise(half)
            self.diverse_norm = norm(half)
            self.squeeze = Dense(half, half // 2, bias=False)
            self.excite = Dense(half // 2, half, bias=False)
        self.out = pointwise(channels if branches == "both" else half, channels, bias=False)
        self.norm = ChannelLayerNorm(channels)
        self.half, self.branches = half, branches

    def construct(self, feature):
        """[B, C, H, W] -> the same, and a tuple of the diverse branch [B, C / 2, H * W], empty without it."""
        batch, _, height, width = ops.shape(feature)
        intrinsic = self.intrinsic_norm(self.intrinsic(feature))
        if self.branches == "intrinsic":
            return self.norm(self.out(intrinsic)), ()
        diverse = self.diverse_norm(self.diverse(intrinsic))
        rows = diverse.reshape(batch * self.half, -1)
        mean = mean_of_rows(rows).reshape(batch, self.half)
        gate = self.excite(ops.relu(self.squeeze(mean)))  # raw: the release has no sigmoid
        rows = scale_rows(rows, gate.reshape(-1, 1))
        diverse = rows.reshape(batch, self.half, height, width)
        x = ops.cat((diverse, intrinsic), 1) if self.branches == "both" else diverse
        return self.norm(self.out(x)), (rows.reshape(batch, self.half, -1),)


class SemanticsAttention(nn.Cell):
    """Pixels of a level attend to the class embeddings; their affinities are the level's masks.

    Args:
        channels: D.
        heads: h, divides D.
        mlp_ratio: width of the MLP relative to D.
        activate: ReLU after both convolutions of the queries.
        invert: attend with the negative affinities, as the release does.
        approximate: GELU in the tanh form.
        masks_only: nothing but the masks is wanted; the features are then the lateral itself.
    """

    def __init__(self, channels, heads, mlp_ratio, activate, invert, approximate, masks_only):
        super().__init__()
        self.heads, self.depth = heads, channels // heads
        self.activation = nn.ReLU() if activate else nn.Identity()
        self.sign = -1.0 if invert else 1.0
        self.norm_pixels = ChannelLayerNorm(channels)
        self.norm_tokens = LayerNorm(channels)
        self.query_depthwise = depthwise(channels)
        self.query_pointwise = pointwise(channels, channels)
        self.masks_only = masks_only
        self.key_value = Dense(channels, channels if masks_only else 2 * channels, bias=False)
        if not masks_only:
            self.project = pointwise(channels, channels)
            self.norm_mlp = ChannelLayerNorm(channels)
            self.mlp = ConvMLP(channels, mlp_ratio, approximate)
        self.split = ops.Split(2, 2)
        self.unstack = ops.Unstack(1)
        self.product = ops.BatchMatMul(transpose_a=True, transpose_b=True)

    def construct(self, lateral, tokens):
        """Lateral [B, D, H, W], tokens [B, K, D] -> features [B, D, H, W], raw masks [B, K, H, W]."""
        batch, channels, height, width = ops.shape(lateral)
        query = self.activation(self.query_depthwise(self.norm_pixels(lateral)))
        query = self.activation(self.query_pointwise(query)).reshape(batch, self.heads, self.depth, -1)
        both = self.key_value(self.norm_tokens(tokens))
        key, value = (both, None) if self.masks_only else self.split(both)
        key = self.by_head(key) * (1 / math.sqrt(self.depth))
        affinity = self.product(query, key)  # [B, h, H * W, K]
        masks = self.mean_over_heads(affinity).reshape(batch, ops.shape(tokens)[1], height, width)
        if self.masks_only:
            return lateral, masks
        weights = softmax(affinity * self.sign)
        y = self.product(self.by_head(value), weights).reshape(batch, channels, height, width)
        y = self.project(y) + lateral
        return self.mlp(self.norm_mlp(y)) + y, masks

    def by_head(self, x):
        """[B, K, D] -> [B, h, K, d]."""
        batch, classes = ops.shape(x)[:2]
        return x.reshape(batch, classes, self.heads, self.depth).transpose(0, 2, 1, 3)

    def mean_over_heads(self, affinity):
        """[B, h, N, K] -> [B, K, N]."""
        total = 0
        for head in self.unstack(affinity):
            total = total + head
        return (total * (1 / self.heads)).transpose(0, 2, 1)


class DepthwiseNormReLU(nn.Cell):
    """Depthwise convolution without bias, batch norm, ReLU: [B, C, H, W] -> [B, C, H, W]."""

    def __init__(self, channels):
        super().__init__()
        self.conv = depthwise(channels, bias=False)
        self.bn = norm(channels, "relu")

    def construct(self, x):
        return self.bn(self.conv(x))


class GhostUpsample(nn.Cell):
    """Twice the size: half of the channels from a 1x1 convolution, half from a depthwise one of it, then shuffled.

    Args:
        channels: D.
    """

    def __init__(self, channels):
        super().__init__()
        self.primary = ConvNormReLU(channels, 2 * channels, 1)
        self.cheap = DepthwiseNormReLU(2 * channels)
        self.shuffle = nn.PixelShuffle(2)

    def start_as_nearest(self):
        """Make the kernels of each four channels that become 2 x 2 pixels of one channel equal, and so these pixels."""
        for layer in (self.primary, self.cheap):
            kernels = layer.conv.weight.asnumpy()
            layer.conv.weight.set_data(Tensor(kernels[::4].repeat(4, 0)))

    def construct(self, x):
        """[B, D, H, W] -> [B, D, 2 H, 2 W]."""
        primary = self.primary(x)
        return self.shuffle(ops.cat((primary, self.cheap(primary)), 1))


class ECENet(nn.Cell):
    """ECENet decoder.

    The options are explained in ``src.schema.decoders.ECENetConfig``.

    Args:
        in_channels: channels of the four maps, finest first.
        num_classes: K.

    Raises:
        UserError: ``token_ratio`` or ``feature_reconstruction`` do not fit the classes or the maps.
    """

    OUTPUTS = ("logits", "masks", "diversity", "diverse_channels", "features")
    EXPLAINS = ("mask_0", "mask_1", "mask_2", "mask_3", "diversity_0", "diversity_1", "diversity_2", "diversity_3")

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
        token_ratio,
        query_activation,
        class_embeddings,
        token_update,
        output,
        ghost_upscale,
        upscale_init,
        feature_reconstruction,
    ):
        super().__init__()
        self.num_classes, self.output, self.by_level = num_classes, output, mask_supervision == "levels"
        self.ghost_upscale, self.feature_reconstruction = ghost_upscale, feature_reconstruction != "off"
        if self.feature_reconstruction:
            self.reconstructions = nn.CellList(
                [FeatureReconstruction(width, feature_reconstruction) for width in in_channels]
            )
        self.laterals = nn.CellList([pointwise(width, channels, bias=False) for width in in_channels])
        self.first_mask = nn.SequentialCell(
            pointwise(channels, channels, bias=False, groups=heads), pointwise(channels, num_classes, bias=False)
        )
        side = grid_side(num_classes, token_ratio)
        self.learned = class_embeddings == "learned"
        if self.learned:
            self.queries = Parameter(initializer(TruncatedNormal(0.02), (num_classes, channels)), name="queries")
        # The last update makes what the class branch alone reads.
        self.updated = ((1, 2) if output == "features" else (0, 1, 2)) if token_update else ()
        extracted = self.updated if self.learned else (*self.updated, 3)
        self.extractions = nn.CellList(
            [ClassExtraction(channels, side) if level in extracted else nn.Identity() for level in range(4)]
        )
        self.attentions = nn.CellList(
            [
                SemanticsAttention(
                    channels,
                    heads,
                    mlp_ratio,
                    query_activation == "relu",
                    invert_attention,
                    gelu == "tanh",
                    output == "masks",
                )
                for _ in range(3)
            ]
        )
        self.updates = nn.CellList(
            [TokenUpdate(channels) if level in self.updated else nn.Identity() for level in range(3)]
        )
        self.classifier = None
        if output != "masks":
            if ghost_upscale:
                self.upsamples = nn.CellList(
                    [nn.SequentialCell([GhostUpsample(channels) for _ in range(level)]) for level in (1, 2, 3)]
                )
            self.fusion = ConvNormReLU(4 * channels, channels, 3)
            self.dropout = ChannelDropout(dropout)
            self.classifier = classifier(channels, num_classes)
        if output != "features":
            self.class_scores = Dense(channels, num_classes)
        self.diagonal = ops.eye(num_classes, num_classes)
        self.diversity = SpatialSoftmaxMax()
        self.diverse_channels = Tensor([width // 2 for width in in_channels], ms.float32)
        initialize_convolutions(self, self.classifier)
        if upscale_init == "nearest":
            for _, cell in self.cells_and_names():
                if isinstance(cell, GhostUpsample):
                    cell.start_as_nearest()

    def reconstruct(self, features):
        """Four maps -> laterals [B, D, H_i, W_i] and diverse branches [B, C_i / 2, H_i * W_i] (or none)."""
        laterals, diverse = [], ()
        for i in range(4):
            x = features[i]
            if self.feature_reconstruction:
                x, branch = self.reconstructions[i](x)
                diverse += branch
            laterals.append(self.laterals[i](x))
        return laterals, diverse

    def interact(self, laterals):
        """Laterals -> features Z_0..Z_3, raw masks M_0..M_3, class embeddings [B, K, D]."""
        m3 = self.first_mask(laterals[3])
        tokens = self.learned_tokens(m3) if self.learned else self.extractions[3](m3)
        z2, m2 = self.attentions[2](laterals[2], tokens)
        tokens = self.update(2, tokens, m2)
        z1, m1 = self.attentions[1](laterals[1], tokens)
        tokens = self.update(1, tokens, m1)
        z0, m0 = self.attentions[0](laterals[0], tokens)
        tokens = self.update(0, tokens, m0)
        return (z0, z1, z2, laterals[3]), (m0, m1, m2, m3), tokens

    def learned_tokens(self, masks):
        """Masks [B, K, h, w], of which the size alone counts -> the learned queries for every image [B, K, D]."""
        column = ops.ones_like(masks.reshape(ops.shape(masks)[0], -1)[:, :1])
        rows = outer(column, self.queries.reshape(1, -1).astype(masks.dtype))
        return rows.reshape(-1, *self.queries.shape)

    def update(self, level, tokens, masks):
        """Class embeddings after those of a level's masks have come in, if the options want it."""
        if level in self.updated:
            return self.updates[level](tokens, self.extractions[level](masks))
        return tokens

    def coarse_masks(self, masks):
        """M_0..M_3 -> M_1 + M_2 + M_3 at the size of M_0, [B, K, H_0, W_0]."""
        size = ops.shape(masks[0])[2:]
        total = resize_bilinear(masks[3], size)
        for i in (2, 1):
            total = total + resize_bilinear(masks[i], size)
        return total

    def fuse(self, z):
        """Z_0..Z_3 -> [B, D, H_0, W_0]."""
        size = ops.shape(z[0])[2:]
        maps = [z[0]]
        for i in (1, 2, 3):
            x = self.upsamples[i - 1](z[i]) if self.ghost_upscale else z[i]
            maps.append(resize_bilinear(x, size))
        return self.fusion(ops.cat(maps, 1))

    def class_branch(self, masks, tokens):
        """Sum of the masks [B, K, H, W], embeddings [B, K, D] -> what the class branch adds to the logits."""
        batch, classes, height, width = ops.shape(masks)
        scores = softmax(self.class_scores(tokens))
        scores = scores * self.diagonal.astype(scores.dtype)
        scores = ops.sum(scores, -1).reshape(-1, 1)
        rows = scale_rows(ops.sigmoid(masks).reshape(batch * classes, -1), scores)
        return rows.reshape(batch, classes, height, width)

    def embed(self, features):
        """Four maps -> the map before the classifier [B, D, H_0, W_0]; without one the sum of the masks."""
        laterals, _ = self.reconstruct(features)
        z, masks, _ = self.interact(laterals)
        return self.coarse_masks(masks) + masks[0] if self.output == "masks" else self.fuse(z)

    def explain(self, features):
        """Four maps -> raw masks M_i [B, K, H_i, W_i] and diversity maps E_i [B, H_i, W_i], as EXPLAINS names them."""
        laterals, diverse = self.reconstruct(features)
        _, masks, _ = self.interact(laterals)
        maps = []
        for i in range(len(diverse)):
            batch, _, height, width = features[i].shape
            maps.append(self.diversity(diverse[i]).reshape(batch, height, width))
        return (*masks, *maps)

    def construct(self, features):
        """Four maps [B, C_i, H_i, W_i] -> logits [B, K, H_0, W_0]; in training see OUTPUTS.

        Masks are M_1 + M_2 + M_3, raw, [B, K, H_0, W_0], or with ``mask_supervision: levels`` M_3, M_2 and M_1, each
        at its own size and in a tuple of its own. Diversity is a tuple of E_i [B, H_i * W_i], in (0, 1], of
        diverse_channels channels each, fp32 [4]; it is empty without the diverse branch.
        """
        laterals, diverse = self.reconstruct(features)
        z, masks, tokens = self.interact(laterals)
        coarse = self.coarse_masks(masks)
        if self.output == "masks":
            embedded = coarse + masks[0]
            logits = self.class_branch(embedded, tokens)
        else:
            embedded = self.fuse(z)
            logits = self.classifier(self.dropout(embedded))
            if self.output == "both":
                logits = logits + self.class_branch(coarse + masks[0], tokens)
        if self.training:
            diversity = tuple([self.diversity(branch) for branch in diverse])
            supervised = tuple([(masks[i],) for i in (3, 2, 1)]) if self.by_level else coarse
            return logits, supervised, diversity, self.diverse_channels, embedded
        return logits
