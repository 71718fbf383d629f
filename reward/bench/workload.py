"""What the benchmark scores: distinct made-up exchanges, and random checkpoints to score them with."""

import random
from pathlib import Path
from typing import Any

from coderm_slime.chat import Template, as_response

_CHAT_TEMPLATE = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CONTROL = ["<|im_start|>", "<|im_end|>"]
_VOCABULARY = 4096
_MAX_TOKENS = 2048
# About 25 million parameters: a forward pass takes tens of ms a sequence, as little as anyone would serve.
_SHAPE = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 6}


def exchanges(count: int, rules: int = 8) -> list[tuple[str, str]]:
    """Distinct (problem, response) pairs of some hundred tokens, their programs of half to all of `rules` rules."""
    chance = random.Random(0)
    return [
        (f"Write `total_{n}(rows)`: add up what its rules say.", _response(n, chance, rules)) for n in range(count)
    ]


def _response(number: int, chance: random.Random, most: int) -> str:
    rules = [
        f"        if row % {chance.randint(2, 99)} == {chance.randint(0, 1)}:\n"
        f"            total += row * {chance.randint(2, 999)}"
        for _ in range(chance.randint(most // 2, most))
    ]
    body = "\n".join(["    total = 0", "    for row in rows:", *rules, "    return total"])
    return as_response(f"def total_{number}(rows):\n{body}\n")


def write_tokenizer(folder: Path) -> Any:
    """Train a small byte-level tokenizer on this package's own sources and write it, compiled, to `folder`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=_CONTROL, initial_alphabet=alphabet, show_progress=False
    )
    backend.train([str(path) for path in sorted(Path(__file__).parents[2].glob("coderm_slime/**/*.py"))], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=_CONTROL[1], pad_token=_CONTROL[1])
    tokenizer.add_special_tokens({"additional_special_tokens": _CONTROL})
    tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    Template.compile(tokenizer, _MAX_TOKENS).save(folder)
    return tokenizer


def write_reward_model(folder: Path) -> None:
    """Write a small Llama with random weights and the tokenizer above: speed does not depend on what it knows."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    tokenizer = write_tokenizer(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        **_SHAPE,
        vocab_size=len(tokenizer),
        max_position_embeddings=_MAX_TOKENS,
        num_labels=1,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForSequenceClassification(config).save_pretrained(folder)
