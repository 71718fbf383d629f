"""From Hugging Face into the model and back: heads are kept, misfits are refused, what comes out is served."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coderm_slime.scoring.weights import CheckpointError
from helpers import tiny

pytestmark = pytest.mark.torch  # and megatron-core, of the extra `rm`

KEPT, ZERO, NORMAL = "kept", "zero", "normal"


@pytest.fixture(scope="module")
def layout() -> Iterator[Any]:
    """A world of one rank, without torchrun."""
    from rm_train import parallel

    yield parallel.start(1)
    parallel.stop()


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    return tiny.reward_model(tmp_path / "reward", "qwen2", spread=8.0)


def loaded(layout: Any, folder: Path, head: str, seed: int = 0) -> Any:
    import torch

    from rm_train import convert, model
    from rm_train.shape import BackboneShape

    made = model.build(BackboneShape.of(folder), layout, torch.float32)
    convert.load(folder, made, convert.Head(head), seed=seed)
    return made


def edit(folder: Path, **changes: Any) -> None:
    """Set tensors of a folder with one file; None takes one out."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = {**load_file(file), **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, file, {"format": "pt"})


def test_a_language_model_gets_a_new_head_only_when_asked_for(layout: Any, tmp_path: Path) -> None:
    folder = tiny.language_model(tmp_path / "lm", "qwen2")
    with pytest.raises(CheckpointError, match=r"no score\.weight to keep; ask for a new head"):
        loaded(layout, folder, KEPT)
    assert not loaded(layout, folder, ZERO).score.weight.any()
    first, again, other = (loaded(layout, folder, NORMAL, seed).score.weight for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert 0.01 < float(first.std()) < 0.03


@pytest.mark.parametrize("head", [ZERO, NORMAL])
def test_a_trained_head_is_never_thrown_away(head: str, layout: Any, reward: Path) -> None:
    with pytest.raises(CheckpointError, match="has a trained head"):
        loaded(layout, reward, head)


def test_a_reward_model_whose_head_is_missing_gets_none_unasked(layout: Any, reward: Path) -> None:
    edit(reward, **{"score.weight": None})
    with pytest.raises(CheckpointError, match=r"no score\.weight to keep"):
        loaded(layout, reward, KEPT)


def test_tied_embeddings_and_shards_are_read_as_hugging_face_reads_them(layout: Any, tmp_path: Path) -> None:
    import torch
    import transformers

    from rm_train.packed import Packed

    folder = tiny.language_model(tmp_path / "lm", "llama", tie_word_embeddings=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.save_pretrained(folder, max_shard_size="100KB")
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("*.safetensors"))) > 1
    ids = [5, 9, 200, 17]
    with torch.inference_mode():
        expected = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
        ours = loaded(layout, folder, ZERO).features(Packed.of([ids]))[0]
    assert float((ours - expected).abs().max()) <= 1e-5


def test_what_prepare_wrote_is_read_again(layout: Any, reward: Path, tmp_path: Path) -> None:
    from coderm_slime.scoring.prepare import prepare

    prepare(str(reward), tmp_path / "prepared", max_tokens=256)
    before, after = (loaded(layout, folder, KEPT).score.weight for folder in (reward, tmp_path / "prepared"))
    assert (before == after).all()


def test_tensors_that_do_not_fit_are_refused_by_name(layout: Any, reward: Path, tmp_path: Path) -> None:
    import torch

    cases: dict[str, tuple[dict[str, Any], str]] = {
        "missing": ({"model.norm.weight": None}, r"lacks 1 tensors .* model\.norm\.weight"),
        "left over": ({"model.layers.0.extra.weight": torch.zeros(2)}, r"no place for, the first is .*extra"),
        "wrong shape": ({"model.norm.weight": torch.zeros(65)}, r"model\.norm\.weight is \(65,\).*should be \(64,\)"),
        "quantized": ({"model.norm.weight": torch.zeros(64, dtype=torch.int8)}, r"int8"),
        "more than one label": ({"score.weight": torch.zeros(2, 64)}, r"score\.weight is \(2, 64\)"),
        "a bias": ({"score.bias": torch.ones(1)}, r"score\.bias that is not zero"),
    }
    for name, (changes, reason) in cases.items():
        folder = Path(shutil.copytree(reward, tmp_path / name))
        edit(folder, **changes)
        with pytest.raises(CheckpointError, match=reason):
            loaded(layout, folder, KEPT)


def test_pickled_weights_and_files_cut_in_half_are_refused(layout: Any, reward: Path) -> None:
    file = reward / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="is damaged"):
        loaded(layout, reward, KEPT)
    file.rename(reward / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="only safetensors are taken"):
        loaded(layout, reward, KEPT)


def test_what_is_exported_is_prepared_and_scores_as_the_model_does(layout: Any, reward: Path, tmp_path: Path) -> None:
    import torch

    from coderm_slime.scoring.server.reward_engine import RewardEngine
    from rm_train import convert
    from rm_train.packed import Packed

    model = loaded(layout, reward, KEPT)
    card = convert.export(model, reward, tmp_path / "out", max_tokens=256)
    served = RewardEngine(tmp_path / "out")
    batch = [list(item.input_ids) for item in card.probe]
    with torch.inference_mode():
        ours = model(Packed.of(batch))
    assert served.score(batch) == pytest.approx(ours.tolist(), abs=1e-4)
    assert [item.logit for item in card.probe] == pytest.approx(ours.tolist(), abs=1e-4)
    with pytest.raises(CheckpointError, match="nothing there is overwritten"):
        convert.export(model, reward, tmp_path / "out", max_tokens=256)


def test_a_language_model_is_exported_as_a_reward_model_with_a_pad_token(layout: Any, tmp_path: Path) -> None:
    from rm_train import convert

    folder = tiny.language_model(tmp_path / "lm", "qwen3")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": None}))
    convert.export(loaded(layout, folder, NORMAL), folder, tmp_path / "out", max_tokens=256)
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written["architectures"] == ["Qwen3ForSequenceClassification"]
    assert written["pad_token_id"] == config["pad_token_id"]
    assert len(written["id2label"]) == 1


def test_a_dead_head_is_not_exported(layout: Any, tmp_path: Path) -> None:
    from rm_train import convert

    folder = tiny.language_model(tmp_path / "lm", "qwen2")
    with pytest.raises(CheckpointError, match="its head is dead"):
        convert.export(loaded(layout, folder, ZERO), folder, tmp_path / "out", max_tokens=256)
    assert not (tmp_path / "out").exists()


def test_transformer_engines_names_stand_for_the_same_tensors_as_the_local_ones(layout: Any, reward: Path) -> None:
    from rm_train.convert.names import source_of

    engine = {
        ".input_layernorm.weight": ".self_attention.linear_qkv.layer_norm_weight",
        ".pre_mlp_layernorm.weight": ".mlp.linear_fc1.layer_norm_weight",
    }
    renamed = 0
    for name, _ in loaded(layout, reward, KEPT).named_parameters():
        for local, theirs in engine.items():
            if name.endswith(local):
                renamed += 1
                assert source_of(name.removesuffix(local) + theirs) == source_of(name)
    assert renamed == 4  # two norms in each of two layers


def test_a_sequence_beyond_the_models_positions_is_refused(layout: Any, reward: Path) -> None:
    from rm_train.packed import Packed

    with pytest.raises(ValueError, match="513 tokens; the model has 512 positions"):
        loaded(layout, reward, KEPT)(Packed.of([[1] * 513]))
