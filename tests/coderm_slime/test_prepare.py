"""`coderm prepare`: what is written is what is served, rendered for and checked against; bad sources are refused."""

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from coderm_slime.chat import Renderer, as_response
from coderm_slime.records import Reason, Verdict
from coderm_slime.scoring.probe import ProbeError, read_card
from coderm_slime.scoring.scorer import Scorer
from coderm_slime.scoring.sglang import sglang_command
from coderm_slime.scoring.weights import CheckpointError, needs_zero_bias, tensors_in
from coderm_slime.settings import RmSettings
from helpers import tiny
from helpers.processes import coderm, coderm_serve, free_port, server_process

pytestmark = pytest.mark.torch
MAX_TOKENS = 384


def prepare(source: Path | str, folder: Path, max_tokens: int = MAX_TOKENS) -> object:
    from coderm_slime.scoring.prepare import prepare

    return prepare(str(source), folder, max_tokens=max_tokens)


def sharded(folder: Path, family: str) -> Path:
    """A checkpoint in several shards, as large ones come."""
    from transformers import AutoModelForSequenceClassification

    whole = tiny.reward_model(folder.with_name(folder.name + "-whole"), family)
    AutoModelForSequenceClassification.from_pretrained(whole).save_pretrained(folder, max_shard_size="60KB")
    tiny.tokenizer().save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 2
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sharded(tmp_path_factory.mktemp("source") / "qwen2", "qwen2")


@pytest.fixture(scope="module")
def prepared(source: Path) -> Path:
    folder = source.parent / "prepared"
    prepare(source, folder)
    return folder


def judge(url: str, model_path: Path) -> Verdict:
    async def call() -> Verdict:
        settings = RmSettings(urls=(url,), model_path=str(model_path), attempts=2, deadline_s=30)
        async with await Scorer.create(settings) as scorer:
            return await scorer.judge("Add two numbers.", as_response("def add(a, b):\n    return a + b\n"))

    return asyncio.run(call())


def test_a_sharded_qwen_gets_a_zero_bias_in_a_shard_of_its_own_and_keeps_its_scores(source, prepared) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification

    tensors = tensors_in(prepared)
    assert load_file(prepared / tensors["score.bias"])["score.bias"].tolist() == [0.0]
    assert tensors.keys() == {*tensors_in(source), "score.bias"}
    assert needs_zero_bias(source)
    assert not needs_zero_bias(prepared)
    old, new = (AutoModelForSequenceClassification.from_pretrained(folder).eval() for folder in (source, prepared))
    for item in read_card(str(prepared)).probe:
        ids = torch.tensor([item.input_ids])
        with torch.inference_mode():
            assert float(old(ids).logits) == float(new(ids).logits) == pytest.approx(item.logit, abs=1e-6)


def test_a_llama_in_one_file_gets_no_bias(tmp_path: Path) -> None:
    prepare(tiny.reward_model(tmp_path / "llama", "llama"), tmp_path / "out")
    assert "score.bias" not in tensors_in(tmp_path / "out")


def test_what_is_prepared_renders_like_its_tokenizer_and_is_loaded_without_transformers(source, prepared) -> None:
    compiled = Renderer.load(str(prepared))
    assert compiled.max_tokens == MAX_TOKENS
    assert compiled.fingerprint == Renderer.load(str(source), MAX_TOKENS).fingerprint
    assert compiled.render("a", "b") == Renderer.load(str(source), MAX_TOKENS).render("a", "b")


def test_the_served_copy_is_believed(prepared) -> None:
    with coderm_serve(prepared) as url:
        assert judge(url, prepared).reason is Reason.SCORED


def test_a_server_with_other_weights_is_the_wrong_model_from_the_first_score_on(prepared, tmp_path) -> None:
    other = tiny.reward_model(tmp_path / "other", "qwen2", spread=2.0)
    with coderm_serve(other) as url:
        verdict = judge(url, prepared)
    assert (verdict.score, verdict.reason) == (None, Reason.WRONG_MODEL)
    assert "instead of" in verdict.detail


def test_a_tokenizer_changed_since_is_refused(prepared, tmp_path) -> None:
    from coderm_slime.chat import RenderError

    folder = tmp_path / "changed"
    shutil.copytree(prepared, folder)
    card = json.loads((folder / "coderm_rm.json").read_text())
    (folder / "coderm_rm.json").write_text(json.dumps(card | {"fingerprint": "0" * 16}))
    with pytest.raises(ProbeError, match="fingerprint 0000"):
        judge("http://127.0.0.1:1", folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(RenderError, match="changed since"):
        judge("http://127.0.0.1:1", folder)
    (folder / "coderm_rm.json").write_text("{")
    with pytest.raises(ProbeError, match="prepare"):
        read_card(str(folder))


@pytest.mark.parametrize("engine", ["standin", "sglang"])
def test_a_checkpoint_that_its_card_does_not_fit_is_not_served(source, prepared, tmp_path, engine) -> None:
    bare = tmp_path / "template-not-compiled"
    shutil.copytree(source, bare)
    card = json.loads((prepared / "coderm_rm.json").read_text())
    for content, said in (
        (json.dumps(card | {"fingerprint": "0" * 16}), "made for fingerprint 0000"),
        (json.dumps(card | {"max_tokens": MAX_TOKENS + 1}), f"made for fingerprint {card['fingerprint']}"),
        ("{", "coderm_rm.json cannot be read, run `coderm prepare` again"),
    ):
        (bare / "coderm_rm.json").write_text(content)
        result = coderm("serve", "--engine", engine, "--model", bare, "--port", free_port())
        assert (result.returncode, said in result.stderr) == (1, True), result.stderr
        assert "serving" not in result.stdout


def test_a_checkpoint_without_a_card_is_served_with_a_warning_and_one_with_its_own_without(source, prepared) -> None:
    for folder, warned in ((source, True), (prepared, False)):
        command = [sys.executable, "-m", "coderm_slime", "serve", "--model", str(folder), "--port", "0"]
        with server_process(command, r"(warning: .*`coderm prepare` writes one|serving)") as (first, _):
            assert first.startswith("warning") is warned


def cut_in_half(folder: Path) -> None:
    shard = folder / tensors_in(folder)["score.weight"]
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])


def without_a_shard(folder: Path) -> None:
    (folder / tensors_in(folder)["score.weight"]).unlink()


def pickled(folder: Path) -> None:
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"")


def three_labels(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b", "2": "c"}
    (folder / "config.json").write_text(json.dumps(config))


def causal(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["Qwen2ForCausalLM"]}))


def dead_head(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    shard = folder / tensors_in(folder)["score.weight"]
    weights = load_file(shard)
    weights["score.weight"].zero_()
    save_file(weights, shard, metadata={"format": "pt"})


def escaping_index(folder: Path) -> None:
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["score.weight"] = "../model.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


DAMAGES = {
    cut_in_half: "damaged",
    without_a_shard: "missing",
    pickled: "only safetensors",
    three_labels: "num_labels=3",
    causal: "Qwen2ForCausalLM",
    dead_head: "dead",
    escaping_index: "missing",
}


@pytest.mark.parametrize(("damage", "said"), DAMAGES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_source_that_cannot_be_served_is_refused_and_leaves_nothing_behind(source, tmp_path, damage, said) -> None:
    shutil.copytree(source, tmp_path / "bad")
    damage(tmp_path / "bad")
    with pytest.raises(CheckpointError, match=said):
        prepare(tmp_path / "bad", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_a_folder_with_something_in_it_is_not_overwritten(source, tmp_path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(CheckpointError, match="nothing there is overwritten"):
        prepare(source, tmp_path)


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(tmp_path, monkeypatch) -> None:
    with pytest.raises(CheckpointError, match="no folder"):
        prepare("./nowhere", tmp_path / "out")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="cannot be had from the hub"):
        prepare("nobody/nothing", tmp_path / "out")


def test_sglang_gets_the_flags_of_the_kind_of_model_and_no_head_that_it_would_spoil(
    source, prepared, tmp_path
) -> None:
    with pytest.raises(Exception, match="coderm prepare"):
        sglang_command(source, "127.0.0.1", 30000, "bfloat16", [])
    command = sglang_command(prepared, "127.0.0.1", 30000, "bfloat16", ["--tp", "2"])
    assert command[1:3] == ["-m", "sglang.launch_server"]
    assert "--is-embedding" in command
    assert command[-2:] == ["--tp", "2"]
    language = tiny.language_model(tmp_path / "lm")
    assert "--is-embedding" not in sglang_command(language, "127.0.0.1", 30000, "bfloat16", [])
