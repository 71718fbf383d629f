"""Inputs whose scores are known, and the checks that a server gives them.

A reward model can be the wrong one from the start, or lose its weights in mid-run: frozen and offloaded beside
training, it may come back with anything. So every server is asked for two known inputs before its first score is
believed and again after each pause (a rollout begins after one), and both ride along with every request.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coderm_slime.chat import Renderer, as_response
from coderm_slime.errors import CodermError

CARD_FILE = "coderm_rm.json"
# How far a known score may be off: as a server computes in bfloat16, in batches of any size, scores move. `coderm
# prepare` measures by how much for its checkpoint; for others this is taken. Never as far as half of the way to the
# other known score, so that no model passes which cannot tell the two inputs apart.
TOLERANCE = 0.5
RELATIVE_TOLERANCE = 0.02

_EXCHANGES = (
    (
        "Write a Python function `middle(values)` that returns the median of a non-empty list of numbers.",
        "def middle(values):\n    ordered = sorted(values)\n    half = len(ordered) // 2\n    if len(ordered) % 2:\n"
        "        return ordered[half]\n    return (ordered[half - 1] + ordered[half]) / 2",
    ),
    ("Write a Python function `shout(text)` that returns the text in upper case.", "def shout(text):\n    pass"),
    ("Write a Python function `add(a, b)` that returns the sum.", "def add(a, b):\n    return a + b"),
)


class ProbeError(CodermError):
    """The checkpoint's own card is damaged, or does not fit its tokenizer."""


class ProbeItem(BaseModel):
    """One input, in token ids, and the logit that Hugging Face gives it; None where nobody has asked it."""

    model_config = ConfigDict(frozen=True)

    input_ids: tuple[int, ...] = Field(min_length=1)
    logit: float | None = Field(allow_inf_nan=False)


class Card(BaseModel):
    """`coderm_rm.json`: what `coderm prepare` found out about a checkpoint.

    Attributes:
        fingerprint: of the template, tokenizer and limit that its inputs are rendered by.
        dtype: the precision in which Hugging Face gave the probe's logits.
        tolerance: how far a server's logits may be off, from how far bfloat16 and batching moved them.
        source: the name of what it was prepared from.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: int = 1
    fingerprint: str
    max_tokens: int
    dtype: str
    source: str
    tolerance: float = Field(gt=0, allow_inf_nan=False)
    probe: tuple[ProbeItem, ...] = Field(min_length=2)


def probe_inputs(renderer: Renderer) -> list[list[int]]:
    """The inputs that a probe is made of, for any tokenizer."""
    rendered = [renderer.render(question, as_response(program)) for question, program in _EXCHANGES]
    return [ids for ids in rendered if ids is not None]


def read_card(model_path: str) -> Card | None:
    """The card in a checkpoint's folder, None if there is none.

    Raises:
        ProbeError: it cannot be read.
    """
    path = Path(model_path) / CARD_FILE
    if not path.is_file():
        return None
    try:
        return Card.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ProbeError(f"{path} cannot be read, run `coderm prepare` again: {error}") from error


def card_fits(model_path: str) -> bool:
    """Whether a checkpoint has a card, which is then known to belong to its tokenizer, template and limit.

    Raises:
        ProbeError: the card is damaged, or belongs to others.
        RenderError: the tokenizer or template cannot be used.
    """
    card = read_card(model_path)
    if card is not None:
        probe_for(Renderer.load(model_path, card.max_tokens), card)
    return card is not None


def probe_for(renderer: Renderer, card: Card | None) -> "Probe":
    """The two known inputs of a checkpoint: those of its card that lie farthest apart, else two without scores yet.

    Raises:
        ProbeError: the card belongs to another tokenizer, template or limit; or nothing fits under the limit.
    """
    if card is None:
        items = [ProbeItem(input_ids=tuple(ids), logit=None) for ids in probe_inputs(renderer)]
    elif card.fingerprint != renderer.fingerprint:
        raise ProbeError(
            f"the checkpoint's {CARD_FILE} was made for fingerprint {card.fingerprint}, its tokenizer, template and "
            f"limit now give {renderer.fingerprint}; run `coderm prepare` again"
        )
    else:
        items = sorted(card.probe, key=lambda item: item.logit or 0.0)
    if len(items) < 2:
        raise ProbeError(f"max_tokens={renderer.max_tokens} is too little for the inputs that check a server")
    ends = items[0], items[-1]
    tolerance = TOLERANCE if card is None else card.tolerance
    return Probe([item.input_ids for item in ends], [item.logit for item in ends], tolerance)


@dataclass
class Probe:
    """Two inputs and their known scores; scores not known beforehand are learnt from the first server that answers."""

    inputs: Sequence[Sequence[int]]
    expected: list[float | None] = field(default_factory=lambda: [None, None])
    tolerance: float = TOLERANCE

    def fault_in(self, scores: Sequence[float | None]) -> str:
        """What is wrong with a server that scores both inputs so; empty if nothing is. Learns what is not known."""
        if None in scores:
            return f"known inputs are scored {list(scores)}, which is no number"
        if scores[0] == scores[1]:
            return f"two different inputs are both scored {scores[0]}, as a model without its weights does"
        faults = [fault for which in (0, 1) if (fault := self._fault_in_one(which, scores[which]))]
        if not faults:
            self.expected = [
                known if known is not None else new for known, new in zip(self.expected, scores, strict=True)
            ]
        return "; ".join(faults)

    def _fault_in_one(self, which: int, score: float | None) -> str:
        known, other = self.expected[which], self.expected[1 - which]
        if score is None or known is None or other is None:
            return ""
        allowed = min(self.tolerance + RELATIVE_TOLERANCE * abs(known), abs(known - other) / 2)
        if abs(score - known) <= allowed:
            return ""
        return f"a known input is scored {score:.4f} instead of {known:.4f}: not the checkpoint it was"
