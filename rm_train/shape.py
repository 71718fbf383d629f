"""What a backbone looks like, read from a Hugging Face config.json. Knows neither torch nor Megatron.

Qwen2 and Qwen2.5 (Coder too), Qwen3, and Llama-like ones such as SmolLM2. Whatever of a config this trainer would not
compute exactly as Hugging Face does is refused, never ignored. GLM-4 is refused: its layers have norms after attention
and after the MLP, which megatron-core 0.16 has not (slime adds them by patching Megatron; that is not done here).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coderm_slime.errors import CodermError
from coderm_slime.scoring.weights import read_config

FAMILIES = {"qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama"}
_DEFAULT_THETA = 10_000.0  # transformers' own, where a config states none
# What transformers 5 takes for a key that a config leaves out. A checkpoint of an older version may rely on it.
_DEFAULT_EPS = 1e-6
# Keys of config.json that change what is computed, and the only values that this trainer computes.
_ONLY: dict[str, tuple[object, ...]] = {
    "hidden_act": ("silu",),
    "mlp_bias": (False, None),
    "attention_bias": (False, None),  # Qwen2's own biases have no key; these would stand on the output, too
    "attention_dropout": (0, None),
    "partial_rotary_factor": (1, None),
    "quantization_config": (None,),
}


class ShapeError(CodermError):
    """A backbone is of a kind, or of numbers, that cannot be trained here. The text says which."""


@dataclass(frozen=True)
class BackboneShape:
    """The numbers that fix a decoder-only backbone.

    Attributes:
        family: `model_type` of its config.
        ffn: width of the gated MLP.
        kv_groups: key and value heads.
        head_dim: width of a head; heads * head_dim need not be `hidden`.
        vocab: rows of the embedding as the checkpoint holds them.
        max_positions: longest sequence that it was made for.
        qkv_bias: whether queries, keys and values have a bias (Qwen2).
        qk_norm: whether each head's queries and keys are normalised (Qwen3).
        tied: whether the language model shares its embedding with its output. A reward model has no such output.
    """

    family: str
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_groups: int
    head_dim: int
    vocab: int
    max_positions: int
    rms_eps: float
    rope_theta: float
    qkv_bias: bool
    qk_norm: bool
    tied: bool

    @classmethod
    def of(cls, folder: Path) -> "BackboneShape":
        """Read the shape of the Hugging Face checkpoint in `folder`.

        Raises:
            CheckpointError: there is no config.json that can be read.
            ShapeError: a kind of model, or a setting of it, that this trainer does not compute.
        """
        config = read_config(folder)
        family = _family(config, folder)
        _refuse_what_is_not_computed(config, folder)
        hidden, heads = _number(config, "hidden_size", folder), _number(config, "num_attention_heads", folder)
        return cls(
            family=family,
            layers=_number(config, "num_hidden_layers", folder),
            hidden=hidden,
            ffn=_number(config, "intermediate_size", folder),
            heads=heads,
            kv_groups=_number(config, "num_key_value_heads", folder, heads),
            head_dim=_number(config, "head_dim", folder, 128 if family == "qwen3" else hidden // heads),
            vocab=_number(config, "vocab_size", folder),
            max_positions=_number(config, "max_position_embeddings", folder),
            rms_eps=float(config.get("rms_norm_eps", _DEFAULT_EPS)),
            rope_theta=_rope_theta(config, folder),
            qkv_bias=family == "qwen2",
            qk_norm=family == "qwen3",
            tied=bool(config.get("tie_word_embeddings", False)),
        )

    def check_tp(self, tp: int) -> None:
        """Make sure that `tp` ranks can share every layer evenly.

        Raises:
            ShapeError: they cannot; with the numbers that could.
        """
        shared = {"attention heads": self.heads, "key/value groups": self.kv_groups, "MLP width": self.ffn}
        for what, count in shared.items():
            if tp < 1 or count % tp:
                possible = [n for n in range(1, self.kv_groups + 1) if all(c % n == 0 for c in shared.values())]
                raise ShapeError(
                    f"tensor parallel {tp} cannot share {count} {what} evenly; this {FAMILIES[self.family]} of "
                    f"{self.heads} heads, {self.kv_groups} key/value groups, MLP width {self.ffn} can use {possible}"
                )

    def padded_vocab(self, tp: int) -> int:
        """Rows of the embedding in Megatron: the next multiple of `tp`; the added rows are zeros that no token has."""
        return -(-self.vocab // tp) * tp

    def parameters(self, tp: int = 1) -> int:
        """Weights that one of `tp` ranks holds, head included; norms and head are held by every one."""
        q, kv = self.heads * self.head_dim, self.kv_groups * self.head_dim
        attention = self.hidden * (2 * q + 2 * kv) + (q + 2 * kv if self.qkv_bias else 0)
        shared = self.layers * (attention + 3 * self.hidden * self.ffn) + self.padded_vocab(tp) * self.hidden
        norms = self.layers * (2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0)) + self.hidden
        return shared // tp + norms + self.hidden


def _family(config: dict[str, Any], folder: Path) -> str:
    family = str(config.get("model_type"))
    if family in ("glm", "glm4"):
        raise ShapeError(
            f"{folder} is a {family}: GLM-4's layers have norms after attention and MLP, which megatron-core 0.16 "
            "does not have; train another backbone"
        )
    if family not in FAMILIES:
        raise ShapeError(f"{folder} is of model_type {family!r}; backbones are {', '.join(FAMILIES)}")
    return family


def _number(config: dict[str, Any], key: str, folder: Path, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ShapeError(f"{folder / 'config.json'}: {key}={value!r} is no positive whole number")
    return value


def _refuse_what_is_not_computed(config: dict[str, Any], folder: Path) -> None:
    for key, allowed in _ONLY.items():
        if config.get(key, allowed[0]) not in allowed:
            raise ShapeError(f"{folder}: {key}={config[key]!r} is not computed here, only {allowed[0]!r}")
    layers = config.get("num_hidden_layers") or 0
    kinds = set(config.get("layer_types") or ()) - {"full_attention"}
    # Before transformers listed each layer's kind, layers from `max_window_layers` on had the window.
    windowed = config.get("use_sliding_window") and "layer_types" not in config
    if kinds or (windowed and (config.get("max_window_layers") or 0) < layers):
        raise ShapeError(
            f"{folder}: sliding-window attention (window {config.get('sliding_window')}) is not computed here; only "
            "full attention is"
        )


def _rope_theta(config: dict[str, Any], folder: Path) -> float:
    """The rotary base, from transformers 5's `rope_parameters` or from the keys that it replaced."""
    stated: dict[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = stated.get("rope_type", stated.get("type", "default"))
    if kind != "default" or stated.get("partial_rotary_factor", 1) != 1:
        raise ShapeError(f"{folder}: rotary scaling {stated} is not computed here; only rope_type 'default' is")
    if nested := [key for key, value in stated.items() if isinstance(value, dict)]:
        raise ShapeError(f"{folder}: rotary settings that differ by layer ({', '.join(nested)}) are not computed here")
    return float(stated.get("rope_theta") or config.get("rope_theta") or _DEFAULT_THETA)
