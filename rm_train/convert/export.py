"""From the model, gathered over tensor-parallel ranks, to a Hugging Face folder that `coderm prepare` has finished.

What is written is `…ForSequenceClassification` with one label: weights as they are, the source's tokenizer and config,
and what `prepare` adds (zero bias for SGLang, compiled template, probe, fingerprint).
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from coderm_slime.scoring.prepare import prepare
from coderm_slime.scoring.probe import CARD_FILE, Card
from coderm_slime.scoring.weights import INDEX_FILE, CheckpointError, read_config
from rm_train import parallel
from rm_train.convert.names import source_of
from rm_train.convert.tensors import whole_of
from rm_train.model import RewardModel
from rm_train.shape import FAMILIES

_FILE_BYTES = 4 * 2**30  # of weights in one file
_NOT_COPIED = ("config.json", CARD_FILE)


def export(model: RewardModel, source: Path, folder: Path, *, max_tokens: int) -> Card | None:
    """Write the model to `folder`, ready to be served; every rank calls this, the first one writes.

    Args:
        source: the Hugging Face folder that training began from; tokenizer and config are taken from it.
        max_tokens: longest input, as in training.

    Returns:
        The card of the finished folder on the first rank, None on the others.

    Raises:
        CheckpointError: `folder` holds something, or the head scores all inputs alike. The other ranks then wait
            until torchrun ends them.
    """
    card = None
    first = dist.get_rank() == 0
    if first and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder} exists and is no empty folder; nothing there is overwritten, name another")
    if first:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            draft = Path(scratch) / folder.name
            write(model, source, draft)
            card = prepare(str(draft), folder, max_tokens=max_tokens)
    elif model.layout.dp_rank == 0:
        for _ in hugging_face_tensors(model):
            pass  # this rank's part goes to the first one
    dist.barrier()
    return card


def write(model: RewardModel, source: Path, draft: Path) -> None:
    """Write weights, config and tokenizer to the new folder `draft`, not yet prepared. The first rank calls this while
    those that share its model go through `hugging_face_tensors`.
    """
    draft.mkdir()
    for path in sorted(source.iterdir()):
        beside = path.suffix in (".json", ".jinja", ".model", ".txt") and path.name not in _NOT_COPIED
        if path.is_file() and beside and not path.name.endswith(".safetensors.index.json"):
            shutil.copyfile(path, draft / path.name)
    (draft / "config.json").write_text(json.dumps(_config(model, source), indent=2) + "\n", encoding="utf-8")
    _write_tensors(hugging_face_tensors(model), draft)


def hugging_face_tensors(model: RewardModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor by its Hugging Face name, whole, on the CPU. Ranks that share a model go through it together."""
    group, ranks = parallel.tp_group(), model.layout.tp
    for name, parameter in model.named_parameters():
        source = source_of(name)
        part = parameter.detach().contiguous()
        parts = [torch.empty_like(part) for _ in range(ranks)]
        dist.all_gather(parts, part, group=group)
        whole = whole_of(source.kind, [part.cpu() for part in parts], model.shape)
        yield from zip(source.tensors, (tensor.contiguous() for tensor in whole), strict=True)


def _config(model: RewardModel, source: Path) -> dict[str, Any]:
    config = read_config(source)
    config["architectures"] = [f"{FAMILIES[model.shape.family]}ForSequenceClassification"]
    config |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    config["dtype"] = str(model.score.weight.dtype).removeprefix("torch.")
    for old in ("torch_dtype", "num_labels", "auto_map"):
        config.pop(old, None)
    if config.get("pad_token_id") is None:  # transformers then scores one sequence at a time only
        config["pad_token_id"] = _pad_token(source)
    return config


def _pad_token(source: Path) -> int | None:
    from coderm_slime.chat import load_tokenizer

    tokenizer = load_tokenizer(str(source))
    token: int | None = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return token


def _write_tensors(tensors: Iterator[tuple[str, torch.Tensor]], folder: Path) -> None:
    from safetensors.torch import save_file

    files: dict[str, str] = {}
    batch: dict[str, torch.Tensor] = {}

    def flush() -> None:
        file = f"model-{len(set(files.values())) + 1:05d}.safetensors"
        save_file(batch, folder / file, metadata={"format": "pt"})
        files.update(dict.fromkeys(batch, file))
        batch.clear()

    total = 0
    for name, tensor in tensors:
        total += tensor.nbytes
        batch[name] = tensor
        if sum(tensor.nbytes for tensor in batch.values()) >= _FILE_BYTES:
            flush()
    if batch:
        flush()
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(files.items()))}
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")
