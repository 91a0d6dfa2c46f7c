"""Attention of queries over keys, with hand-written gradients for the CPU.

The softmax gradient needs the row sums of dP * P. As in FlashAttention they are taken from dO * O, which is M / d
times smaller, and subtracted within the product that makes dP. Bias and mask are added by BiasAdd: where shapes differ,
the CPU's elementwise operators are slower and keep memory for every element (docs/performance.md).
"""

from mindspore import nn, ops

from src.models.layers import backend
from src.models.layers.activation import softmax
from src.models.layers.rows import sum_rows


class _Products(nn.Cell):
    """What both kinds of attention and their gradients are made of."""

    def __init__(self):
        super().__init__()
        self.product = ops.BatchMatMul()
        self.product_nt = ops.BatchMatMul(transpose_b=True)
        self.product_tn = ops.BatchMatMul(transpose_a=True)
        self.sum = ops.ReduceSum(keep_dims=True)
        self.cat = ops.Concat(-1)
        self.add = ops.BiasAdd()

    def attend(self, q, k, v, mask=None):
        """Output and probabilities; ``mask`` is added to the logits of all queries."""
        logits = self.product_nt(q, k)
        if mask is not None:
            logits = self.add(logits.reshape(-1, mask.shape[0]), mask.astype(q.dtype)).reshape(logits.shape)
        p = softmax(logits)
        return self.product(p, v), p

    def attend_with_bias(self, q, k, v, bias, mask):
        """The same with bias and mask on the logits."""
        heads, tokens = q.shape[1:3]
        logits = self.add(self.product_nt(q, k).reshape(-1, bias.shape[0]), bias)
        if mask.shape[0] > 1:
            logits = self.add(logits.reshape(-1, mask.shape[0]), mask)
        p = softmax(logits.reshape(-1, heads, tokens, tokens))
        return self.product(p, v), p

    def gradients(self, q, k, v, out, do):
        """Return the gradients of q, k, v and the logits."""
        o, p = out
        sums = self.sum(do * o, -1)
        difference = self.product_nt(self.cat((do, -sums)), self.cat((v, ops.ones(v.shape[:3] + (1,), v.dtype))))
        dlogits = p * difference
        return self.product(dlogits, k), self.product_tn(dlogits, q), self.product_tn(p, do), dlogits


class _Attention(_Products):
    def construct(self, q, k, v):
        return self.attend(q, k, v)

    def bprop(self, q, k, v, out, dout):
        dq, dk, dv, _ = self.gradients(q, k, v, out, dout[0])
        return dq, dk, dv


class _BiasedAttention(_Products):
    def construct(self, q, k, v, bias, mask):
        return self.attend_with_bias(q, k, v, bias, mask)

    def bprop(self, q, k, v, bias, mask, out, dout):
        dq, dk, dv, dlogits = self.gradients(q, k, v, out, dout[0])
        dbias = sum_rows(dlogits.reshape(q.shape[0], -1))
        return dq, dk, dv, dbias, ops.zeros_like(mask)


class Attention(_Products):
    """softmax(q k^T) v."""

    def __init__(self):
        super().__init__()
        self.fast = _Attention()

    def construct(self, q, k, v, mask=None):
        """q [B, h, N, d]; k, v [B, h, M, d] -> output [B, h, N, d] and probabilities [B, h, N, M].

        ``mask`` [M] is added to the logits of all queries, in evaluation.
        """
        if mask is None and backend.products(q):
            return self.fast(q, k, v)
        return self.attend(q, k, v, mask)


class BiasedAttention(_Products):
    """softmax(q k^T + bias + mask) v."""

    def __init__(self):
        super().__init__()
        self.fast = _BiasedAttention()

    def construct(self, q, k, v, bias, mask):
        """q, k, v [B * windows, h, N, d], bias [h * N * N], mask [windows * h * N * N], or [1] for none.

        Returns:
            Output [B * windows, h, N, d] and probabilities [B * windows, h, N, N].
        """
        if backend.products(q):
            return self.fast(q, k, v, bias, mask)
        return self.attend_with_bias(q, k, v, bias, mask)
