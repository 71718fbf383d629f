"""Shapes of backbones: read as Hugging Face writes them, and refused where this trainer would compute otherwise."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from rm_train.shape import BackboneShape, ShapeError

QWEN2 = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "hidden_act": "silu",
    "attention_dropout": 0.0,
    "sliding_window": 131072,
    "max_window_layers": 28,
    "use_sliding_window": False,
    "tie_word_embeddings": False,
}
REFUSED = {
    "a GLM-4, whose layers Megatron does not have": ({"model_type": "glm4"}, "norms after attention"),
    "another family": ({"model_type": "mistral"}, "'mistral'"),
    "scaled rotary angles": ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "yarn"),
    "scaled rotary angles, as transformers 5 writes them": (
        {"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5}},
        "llama3",
    ),
    "rotary angles on a part of a head": ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary"),
    "rotary angles that differ by layer": ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "by layer"),
    "a sliding window": ({"use_sliding_window": True, "max_window_layers": 20}, "131072"),
    "a sliding window by layer": ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding-window"),
    "biases on attention's output": ({"attention_bias": True}, "attention_bias=True"),
    "biases in the MLP": ({"mlp_bias": True}, "mlp_bias=True"),
    "another activation": ({"hidden_act": "gelu"}, "'gelu'"),
    "dropout": ({"attention_dropout": 0.1}, "attention_dropout=0.1"),
    "quantized weights": ({"quantization_config": {"bits": 4}}, "quantization_config"),
    "no number of layers": ({"num_hidden_layers": None}, "num_hidden_layers=None"),
    "a hidden size that is none": ({"hidden_size": -1}, "hidden_size=-1"),
}


def written(folder: Path, **changes: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({**QWEN2, **changes}))
    return folder


def test_a_config_is_read(tmp_path: Path) -> None:
    shape = BackboneShape.of(written(tmp_path))
    assert (shape.heads, shape.kv_groups, shape.head_dim, shape.rope_theta) == (28, 4, 128, 1e6)
    assert (shape.qkv_bias, shape.qk_norm, shape.tied) == (True, False, False)
    assert shape.parameters() == 7_070_622_720


def test_transformers_5_writes_the_rotary_base_elsewhere_and_it_is_found(tmp_path: Path) -> None:
    shape = BackboneShape.of(written(tmp_path, rope_theta=None, rope_parameters={"rope_theta": 5e5}))
    assert shape.rope_theta == 5e5


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_computed_otherwise_is_refused(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=reason):
        BackboneShape.of(written(tmp_path, **changes))


def test_ranks_that_cannot_share_the_heads_are_refused_with_the_numbers_that_could(tmp_path: Path) -> None:
    shape = BackboneShape.of(written(tmp_path))
    shape.check_tp(4)
    with pytest.raises(ShapeError, match=r"tensor parallel 8 cannot share 28 attention heads .* can use \[1, 2, 4\]"):
        shape.check_tp(8)
    with pytest.raises(ShapeError, match=r"tensor parallel 7 cannot share 4 key/value groups"):
        shape.check_tp(7)


def test_nine_heads_of_smollm2_cannot_be_shared_by_two(tmp_path: Path) -> None:
    smollm2 = {"num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576, "intermediate_size": 1536}
    shape = BackboneShape.of(written(tmp_path, model_type="llama", **smollm2))
    with pytest.raises(ShapeError, match=r"tensor parallel 2 cannot share 9 attention heads .* can use \[1, 3\]"):
        shape.check_tp(2)


def test_the_vocabulary_is_padded_to_what_ranks_can_share(tmp_path: Path) -> None:
    shape = dataclasses.replace(BackboneShape.of(written(tmp_path)), vocab=1001)
    assert [shape.padded_vocab(tp) for tp in (1, 2, 4)] == [1001, 1002, 1004]
