"""The reward model on megatron-core: a `GPTModel` without its output layer, and a scalar head on its hidden state.

The same code for one rank and for tensor-parallel ones, on CPU and GPU. Reads packs; makes no loss, loads nothing.
"""

from typing import Any

import torch
from torch.nn.functional import linear, silu

from rm_train import device, parallel
from rm_train.packed import Packed
from rm_train.parallel import Layout
from rm_train.shape import BackboneShape


def build(shape: BackboneShape, layout: Layout, dtype: torch.dtype, *, recompute: bool = False) -> "RewardModel":
    """Make this rank's part of the model; weights are zeros and norms ones until `convert.load` fills them.

    Args:
        recompute: compute activations again in the backward pass instead of keeping them.

    Raises:
        ShapeError: the ranks cannot share the layers.
        DeviceError: what the device needs is missing.
    """
    from megatron.core.models.gpt import GPTModel
    from megatron.core.transformer import TransformerConfig

    shape.check_tp(layout.tp)
    config = TransformerConfig(
        num_layers=shape.layers,
        hidden_size=shape.hidden,
        ffn_hidden_size=shape.ffn,
        num_attention_heads=shape.heads,
        num_query_groups=shape.kv_groups,
        kv_channels=shape.head_dim,
        normalization="RMSNorm",
        layernorm_epsilon=shape.rms_eps,
        activation_func=silu,
        gated_linear_unit=True,
        add_bias_linear=False,
        add_qkv_bias=shape.qkv_bias,
        qk_layernorm=shape.qk_norm,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        params_dtype=dtype,
        bf16=dtype == torch.bfloat16,
        tensor_model_parallel_size=layout.tp,
        # Not `perform_initialization=False`: then weights would lack the marks that say how ranks share them.
        init_method=torch.nn.init.zeros_,
        output_layer_init_method=torch.nn.init.zeros_,
        **device.config_options(layout.tp, recompute),
    )
    backbone = GPTModel(
        config=config,
        transformer_layer_spec=device.layer_spec(shape.qk_norm),
        vocab_size=shape.padded_vocab(layout.tp),
        max_sequence_length=shape.max_positions,
        position_embedding_type="rope",
        rotary_base=shape.rope_theta,
        share_embeddings_and_output_weights=True,  # so that no output matrix is made; there is no output below
    )
    backbone.output_layer = _NoOutput()
    backbone.share_embeddings_and_output_weights = False
    device.finish(backbone, recompute)
    model = RewardModel(backbone, shape, layout)
    model.to(device.torch_device(), dtype)
    return model


class RewardModel(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """One score for each sequence of a pack, read at its last token.

    Attributes:
        shape: the backbone's, before it is shared among ranks.
        layout: where this rank's part belongs.
        score: the head, `score.weight` of (1, hidden), without a bias; every rank holds it whole.
    """

    def __init__(self, backbone: Any, shape: BackboneShape, layout: Layout) -> None:
        super().__init__()
        self.shape, self.layout = shape, layout
        self.backbone = backbone
        self.score = torch.nn.Linear(shape.hidden, 1, bias=False)
        torch.nn.init.zeros_(self.score.weight)

    def forward(self, batch: Packed) -> torch.Tensor:
        """Scores of the sequences, (sequences,), float32."""
        return linear(self.features(batch), self.score.weight.float()).squeeze(-1)

    def features(self, batch: Packed) -> torch.Tensor:
        """What the head reads: hidden states after the final norm at last tokens, (sequences, hidden), float32.

        Raises:
            ValueError: a sequence is longer than the backbone's positions.
        """
        if batch.longest > self.shape.max_positions:
            raise ValueError(
                f"a sequence of {batch.longest} tokens; the model has {self.shape.max_positions} positions"
            )
        batch = batch.to(device.torch_device())
        config = self.backbone.config
        padded = _divisible(batch, config.tensor_model_parallel_size) if config.sequence_parallel else batch
        hidden = self.backbone(
            input_ids=padded.tokens[None],
            position_ids=padded.positions[None],
            attention_mask=None,
            packed_seq_params=_packed_parameters(padded),
        )[0]
        if config.sequence_parallel:
            hidden = _gathered(hidden)
        return hidden[batch.last_tokens].float()

    def sharded_state_dict(self) -> dict[str, Any]:
        """Every parameter by name, with which part of the whole it is, as Megatron's checkpoints take them."""
        from megatron.core.transformer.utils import make_sharded_tensors_for_checkpoint

        groups = {"tp_group": parallel.tp_group(), "dp_cp_group": parallel.dp_group()}
        parts = {
            **self.backbone.embedding.sharded_state_dict("backbone.embedding.", (), dict(groups)),
            **self.backbone.decoder.sharded_state_dict("backbone.decoder.", (), dict(groups)),
            **make_sharded_tensors_for_checkpoint(self.score.state_dict(keep_vars=True), "score.", **groups),
        }
        return {name: parts[name] for name, _ in self.named_parameters()}


class _NoOutput(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Takes the place of the language model's output layer, and gives the hidden states on as they are."""

    def forward(self, hidden: torch.Tensor, **unused: Any) -> tuple[torch.Tensor, None]:
        return hidden, None


def _packed_parameters(batch: Packed) -> Any:
    from megatron.core.packed_seq_params import PackedSeqParams

    return PackedSeqParams(
        qkv_format="thd",
        cu_seqlens_q=batch.starts,
        cu_seqlens_kv=batch.starts,
        max_seqlen_q=batch.longest,
        max_seqlen_kv=batch.longest,
    )


def _divisible(batch: Packed, ranks: int) -> Packed:
    """The pack with one more short sequence whose score nobody reads, so that `ranks` can share the tokens evenly."""
    lacking = -len(batch.tokens) % ranks
    if not lacking:
        return batch
    positions = torch.arange(lacking, dtype=batch.positions.dtype, device=batch.positions.device)
    return Packed(
        tokens=torch.cat([batch.tokens, batch.tokens.new_zeros(lacking)]),
        positions=torch.cat([batch.positions, positions]),
        starts=torch.cat([batch.starts, batch.starts[-1:] + lacking]),
        longest=max(batch.longest, lacking),
    )


def _gathered(hidden: torch.Tensor) -> torch.Tensor:
    """All ranks' tokens. Each rank then computes the same loss, so backward it takes its own part of one gradient."""
    from megatron.core.tensor_parallel import gather_from_sequence_parallel_region

    gathered: torch.Tensor = gather_from_sequence_parallel_region(hidden, tensor_parallel_output_grad=False)
    return gathered
