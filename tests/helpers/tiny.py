"""Tiny checkpoints with random weights and a real byte-level BPE tokenizer: right shapes, no knowledge."""

from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HEADERS = (
    "{{ '<|begin|>' }}{% for m in messages %}{{ '<|head|>' + m['role'] + '<|/head|>\n\n' + m['content'] | trim "
    "+ '<|eot|>' }}{% endfor %}"
)
CORPUS = [
    "def add(a, b):\n    return a + b\n",
    "user assistant system\n",
    "Write a function that returns the sum.\n",
] * 8
CONFIGS = {"llama": "LlamaConfig", "qwen2": "Qwen2Config", "qwen3": "Qwen3Config"}


def tokenizer(template: str = CHATML, specials: tuple[str, ...] = ("<|im_start|>", "<|im_end|>", "<|end|>")) -> Any:
    """A fast tokenizer trained on a few lines, with the given control tokens; pad is the end of turn."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=list(specials), initial_alphabet=alphabet)
    backend.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=specials[1], pad_token=specials[1])
    fast.add_special_tokens({"additional_special_tokens": list(specials)})
    fast.chat_template = template
    return fast


def reward_model(folder: Path, family: str, *, num_labels: int = 1, spread: float = 1.0, **config: Any) -> Path:
    """Write a random sequence-classification checkpoint of a few thousand parameters; `spread` scales its head."""
    import transformers

    model = _random(transformers.AutoModelForSequenceClassification, family, num_labels=num_labels, **config)
    model.score.weight.data.mul_(spread)
    return _save(model, folder)


def language_model(folder: Path, family: str = "llama", **config: Any) -> Path:
    """Write a random causal language model of a few thousand parameters."""
    import transformers

    return _save(_random(transformers.AutoModelForCausalLM, family, **config), folder)


def _random(kind: Any, family: str, **config: Any) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    fast = tokenizer()
    shape = {
        "vocab_size": len(fast),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "pad_token_id": fast.pad_token_id,
        "eos_token_id": fast.eos_token_id,
        **config,
    }
    model = kind.from_config(getattr(transformers, CONFIGS[family])(**shape))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def _save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder
