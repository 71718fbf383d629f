"""Which Hugging Face tensors a Megatron parameter is made of, by either name that Megatron has for it.

With megatron-core's local layers a norm is a layer of its own; TransformerEngine's layers hold it inside the linear
layer that follows it. All else has one name. Knows names only; what is done with the tensors is in `tensors`.
"""

import re
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How the tensors become one, and which of its dimensions ranks share."""

    WHOLE = "every rank holds it"
    ROWS = "ranks share dimension 0"
    COLUMNS = "ranks share dimension 1"
    VOCAB = "ranks share the rows of tokens, rows of zeros added at the end"
    QKV = "queries, keys and values interleaved by group, ranks share the groups"
    GATED = "gate above up, each shared by ranks on its own"


@dataclass(frozen=True)
class Source:
    """What one Megatron parameter comes from."""

    kind: Kind
    tensors: tuple[str, ...]


HEAD = "score.weight"
_LAYER = re.compile(r"backbone\.decoder\.layers\.(\d+)\.(.+)")
_OUTSIDE = {
    "backbone.embedding.word_embeddings.weight": Source(Kind.VOCAB, ("model.embed_tokens.weight",)),
    "backbone.decoder.final_layernorm.weight": Source(Kind.WHOLE, ("model.norm.weight",)),
    HEAD: Source(Kind.WHOLE, (HEAD,)),
}
_INPUT_NORM = Source(Kind.WHOLE, ("input_layernorm.weight",))
_MLP_NORM = Source(Kind.WHOLE, ("post_attention_layernorm.weight",))
_IN_LAYER = {
    "input_layernorm.weight": _INPUT_NORM,  # local
    "self_attention.linear_qkv.layer_norm_weight": _INPUT_NORM,  # TransformerEngine
    "pre_mlp_layernorm.weight": _MLP_NORM,  # local
    "mlp.linear_fc1.layer_norm_weight": _MLP_NORM,  # TransformerEngine
    "self_attention.linear_qkv.weight": Source(Kind.QKV, tuple(f"self_attn.{x}_proj.weight" for x in "qkv")),
    "self_attention.linear_qkv.bias": Source(Kind.QKV, tuple(f"self_attn.{x}_proj.bias" for x in "qkv")),
    "self_attention.q_layernorm.weight": Source(Kind.WHOLE, ("self_attn.q_norm.weight",)),
    "self_attention.k_layernorm.weight": Source(Kind.WHOLE, ("self_attn.k_norm.weight",)),
    "self_attention.linear_proj.weight": Source(Kind.COLUMNS, ("self_attn.o_proj.weight",)),
    "mlp.linear_fc1.weight": Source(Kind.GATED, ("mlp.gate_proj.weight", "mlp.up_proj.weight")),
    "mlp.linear_fc2.weight": Source(Kind.COLUMNS, ("mlp.down_proj.weight",)),
}


def source_of(parameter: str) -> Source:
    """The Hugging Face tensors of the Megatron parameter.

    Raises:
        KeyError: no parameter of the model has this name.
    """
    if match := _LAYER.fullmatch(parameter):
        layer, name = match.groups()
        source = _IN_LAYER[name]
        return Source(source.kind, tuple(f"model.layers.{layer}.{tensor}" for tensor in source.tensors))
    return _OUTSIDE[parameter]
