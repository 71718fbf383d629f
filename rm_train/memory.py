"""How much memory a rank needs, from the shapes alone: printed before training, and a run that cannot fit is refused.

An estimate: weights, gradients and optimizer state are counted exactly, activations by what a layer keeps for its
backward pass (attention that never writes down its probabilities). What the allocator and the libraries take is an
allowance. Logits are one number a sequence, so they count for nothing.
"""

from dataclasses import dataclass

from coderm_slime.errors import CodermError
from rm_train import device
from rm_train.parallel import Layout
from rm_train.shape import BackboneShape

# Of a rank's memory, what the allocator's gaps, the libraries' workspaces and messages between ranks may take.
_ALLOWANCE = 0.1
_GIB = 2**30
_FLOAT32 = 4


class DoesNotFit(CodermError):
    """A rank would need more memory than there is. The text says how much of what, and what would help."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of one rank.

    Attributes:
        optimizer: moments and, of a bfloat16 model, float32 masters; shared among data-parallel ranks.
        activations: of one micro-batch.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, without the allowance."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def __str__(self) -> str:
        parts = ("weights", "gradients", "optimizer", "activations")
        return f"{self.total / _GIB:.1f} GiB: " + ", ".join(f"{p} {getattr(self, p) / _GIB:.1f}" for p in parts)


def estimate(
    shape: BackboneShape,
    layout: Layout,
    *,
    tokens_per_micro_batch: int,
    mixed: bool,
    fused: bool,
    recompute: bool = False,
) -> Estimate:
    """What one rank of `layout` needs to train the model.

    Args:
        mixed: bfloat16 weights with float32 gradients, moments and masters; else all is float32.
        fused: a GPU's layers, which keep less than the CPU's.
        recompute: activations are computed again in the backward pass, a layer at a time.
    """
    weights = shape.parameters(layout.tp)
    number = 2 if mixed else _FLOAT32
    # Whole parameters are shared out, so a rank may own one more of the largest than its share.
    share = max(weights / layout.dp, shape.padded_vocab(layout.tp) // layout.tp * shape.hidden if layout.dp > 1 else 0)
    norms, shared = _kept_by_a_layer(shape, layout.tp, fused, mixed)
    split = layout.tp if fused else 1  # on GPUs ranks share the tokens, too, outside of attention and MLP
    layer, between = norms / split + shared, shape.hidden / split
    kept = shape.layers * between + layer if recompute else shape.layers * layer
    return Estimate(
        weights=weights * number,
        gradients=weights * _FLOAT32,
        optimizer=int(share * (3 if mixed else 2) * _FLOAT32),
        activations=int(tokens_per_micro_batch * number * (kept + 2 * shape.hidden)),  # the final norm's, at the end
    )


def fits(
    shape: BackboneShape,
    layout: Layout,
    *,
    tokens_per_micro_batch: int,
    mixed: bool,
    recompute: bool = False,
    available: int | None = None,
    fused: bool | None = None,
) -> Estimate:
    """The estimate, where it fits.

    Args:
        available: bytes of a rank; by default what this device has.
        fused: see `estimate`; by default this device's layers.

    Raises:
        DoesNotFit: it does not.
    """
    need = estimate(
        shape,
        layout,
        tokens_per_micro_batch=tokens_per_micro_batch,
        mixed=mixed,
        recompute=recompute,
        fused=device.has_gpu() if fused is None else fused,
    )
    have = device.memory_bytes() if available is None else available
    if need.total > have * (1 - _ALLOWANCE):
        raise DoesNotFit(
            f"a rank needs about {need}; it has {have / _GIB:.1f} GiB, of which {_ALLOWANCE:.0%} stay free. "
            + _advice(need, mixed, recompute)
        )
    return need


def _kept_by_a_layer(shape: BackboneShape, tp: int, fused: bool, mixed: bool) -> tuple[float, float]:
    """Numbers a token that a layer keeps for its backward pass: of norms and its input; of all that ranks share."""
    q, kv = shape.heads * shape.head_dim / tp, shape.kv_groups * shape.head_dim / tp
    ffn = shape.ffn / tp
    norms = 4.0 * shape.hidden  # what both norms read and give
    on_heads = 2 * (q + kv) if shape.qk_norm else 0.0
    projected, rotated = q + 2 * kv, q + kv
    if fused:
        return norms, projected + rotated + q + on_heads + 3 * ffn
    if mixed:  # torch's norms keep what they read in float32, too
        norms, on_heads = 2 * norms, 2 * on_heads
    repeated = 2 * q if kv < q else 0.0  # keys and values, once for each query head
    # Attention is kept by sequence and joined; the MLP's gate, up and their steps stand by themselves.
    return norms, projected + rotated + 2 * q + repeated + on_heads + 5 * ffn


def _advice(need: Estimate, mixed: bool, recompute: bool) -> str:
    if need.activations > need.total / 3:
        return "Read fewer tokens at once" + ("." if recompute else ", or recompute activations.")
    return "Use more tensor parallel ranks" + (" or more ranks." if mixed else ", or bfloat16 weights.")
