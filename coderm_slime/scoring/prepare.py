"""`coderm prepare`: from a trained checkpoint to the folder that is served and rendered for. Needs torch.

Adds a zero `score.bias` where SGLang would put a random one, the compiled chat template (quick to load), and the card
`coderm_rm.json`: the fingerprint of what renders its input, and known inputs with Hugging Face's own logits, by which
a client tells the right server from a wrong one. The weights stay as they are. Code that lies beside them is left out.
"""

import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from coderm_slime.chat import Renderer, Template, load_tokenizer
from coderm_slime.scoring.probe import CARD_FILE, Card, ProbeItem, probe_inputs
from coderm_slime.scoring.weights import (
    BIAS,
    INDEX_FILE,
    CheckpointError,
    architecture_in,
    needs_zero_bias,
    read_config,
    tensors_in,
)

# The known inputs are few: others may be moved by more than the most that these are.
_MARGIN = 3
_LEAST_TOLERANCE = 0.1  # another engine's kernels differ from the ones measured here
_BIAS_FILE = "model-score-bias.safetensors"
_HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
# Written anew, or about weights of another form.
_NOT_COPIED = (INDEX_FILE, CARD_FILE)


def prepare(source: str, folder: Path, *, max_tokens: int, dtype: str = "float32") -> Card:
    """Write the checkpoint `source` to `folder`, ready to be served; the folder is there whole or not at all.

    Args:
        source: a local folder, or a model's id on the Hugging Face hub, which is downloaded.
        max_tokens: longest input; what the model was trained with.
        dtype: `float32`, or `bfloat16` where memory is short; the known logits are computed in it.

    Raises:
        CheckpointError: the source is no one-label reward model in safetensors, `folder` holds something, or the head
            scores all inputs alike.
        RenderError: the source's tokenizer or chat template cannot be used.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder} exists and is no empty folder; nothing there is overwritten, name another")
    origin = _local(source)
    _check(origin)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        draft = Path(scratch) / "model"
        draft.mkdir()
        _copy(origin, draft)
        template = Template.compile(load_tokenizer(str(draft)), max_tokens)
        renderer = Renderer.of(load_tokenizer(str(draft)), max_tokens)
        template.save(draft)
        probe = _probe(draft, renderer, dtype)
        card = Card(
            fingerprint=renderer.fingerprint,
            max_tokens=max_tokens,
            dtype=dtype,
            source=source if origin != Path(source) else origin.resolve().name,
            tolerance=_tolerance(draft, probe),
            probe=probe,
        )
        (draft / CARD_FILE).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(folder)
    return card


def _local(source: str) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise CheckpointError(f"{source} is no folder, and no id of a model on the Hugging Face hub (owner/name)")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=list(_HUB_FILES)))
    except (OSError, ValueError) as error:  # the hub's own errors are of these kinds
        raise CheckpointError(f"{source} is no folder here, and cannot be had from the hub: {error}") from error


def _check(folder: Path) -> None:
    config = read_config(folder)
    architecture = architecture_in(config)
    if not architecture.endswith("ForSequenceClassification"):
        raise CheckpointError(f"{folder} is a {architecture}; a reward model is a …ForSequenceClassification")
    labels = config.get("num_labels") or len(config.get("id2label") or (0, 1))  # transformers' default is 2
    if labels != 1:
        raise CheckpointError(f"{folder} has num_labels={labels}; a reward model has 1")
    if "score.weight" not in tensors_in(folder):
        raise CheckpointError(f"{folder} has no score.weight: its head is missing")


def _copy(origin: Path, draft: Path) -> None:
    """Copy weights and tokenizer, with a zero bias beside them if need be, and an index of all tensors."""
    tensors = tensors_in(origin)
    for path in sorted(origin.iterdir()):
        beside = path.suffix in (".json", ".jinja", ".model", ".txt") and path.name not in _NOT_COPIED
        if path.is_file() and (beside or path.name in tensors.values()):
            shutil.copyfile(path, draft / path.name)
    if needs_zero_bias(origin):
        _write_zero_bias(draft, origin / tensors["score.weight"])
        tensors = {**tensors, BIAS: _BIAS_FILE}
    size = sum((draft / file).stat().st_size for file in set(tensors.values()))
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(tensors.items()))}
    (draft / INDEX_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _write_zero_bias(draft: Path, head_file: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(head_file, framework="pt") as tensors:
        head = tensors.get_tensor("score.weight")
    save_file({BIAS: torch.zeros(len(head), dtype=head.dtype)}, draft / _BIAS_FILE, metadata={"format": "pt"})


def _probe(draft: Path, renderer: Renderer, dtype: str) -> tuple[ProbeItem, ...]:
    """Known inputs and the logits that transformers' own forward pass gives them, one at a time."""
    inputs = probe_inputs(renderer)
    if len(inputs) < 2:
        raise CheckpointError(f"max_tokens={renderer.max_tokens} is too little for the inputs that check a server")
    logits = _hugging_face_logits(draft, inputs, dtype)
    if not all(map(math.isfinite, logits)) or max(logits) - min(logits) < 1e-3:
        raise CheckpointError(f"the model scores different inputs {[round(x, 4) for x in logits]}: its head is dead")
    return tuple(ProbeItem(input_ids=tuple(ids), logit=logit) for ids, logit in zip(inputs, logits, strict=True))


def _tolerance(draft: Path, probe: tuple[ProbeItem, ...]) -> float:
    """How far a server's logits may be off: a multiple of how far bfloat16, alone or batched, moves them."""
    from coderm_slime.scoring.server.reward_engine import RewardEngine

    engine = RewardEngine(draft, "bfloat16")
    batch = [list(item.input_ids) for item in probe]
    moved = [*engine.forward(batch), *(engine.forward([ids])[0] for ids in batch)]
    known = [item.logit or 0.0 for item in probe] * 2
    return max(_LEAST_TOLERANCE, _MARGIN * max(abs(a - b) for a, b in zip(moved, known, strict=True)))


def _hugging_face_logits(draft: Path, inputs: list[list[int]], dtype: str) -> list[float]:
    from transformers import AutoModelForSequenceClassification

    model: Any = AutoModelForSequenceClassification.from_pretrained(draft, dtype=getattr(torch, dtype)).eval()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    with torch.inference_mode():
        return [float(model(torch.tensor([ids], device=device)).logits.float()) for ids in inputs]
