"""The model on megatron-core is the Hugging Face model: scores, gradients and files, alone and shared among ranks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from helpers import ranks, tiny

pytestmark = pytest.mark.torch  # and megatron-core, of the extra `rm`

FAMILIES = ("qwen2", "qwen3", "llama")
# Tensor parallel, processes, and where the ranks wrote. One launch for each number of processes.
LAYOUTS = {
    "one rank": (1, 1, "."),
    "tp 2": (2, 2, "."),
    "tp 2, sequence parallel": (2, 2, "shared_tokens"),
    "tp 2 x dp 2": (2, 4, "."),
}


@dataclass(frozen=True)
class Computed:
    """What the ranks wrote of one model."""

    source: Path
    tensors: dict[str, Any]
    round_trip: Path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    made = {name: tiny.reward_model(folder / name, name, spread=8.0, vocab_size=313) for name in FAMILIES}
    return made | {"llama-recompute": tiny.reward_model(folder / "llama-recompute", "llama", spread=8.0)}


@pytest.fixture(scope="module")
def launches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("launches")


@pytest.fixture(scope="module", params=LAYOUTS)
def computed(request: pytest.FixtureRequest, models: dict[str, Path], launches: Path) -> dict[str, Computed]:
    from safetensors.torch import load_file

    tp, processes, where = LAYOUTS[request.param]
    out = launches / str(processes)
    if not out.exists():
        (out / "shared_tokens").mkdir(parents=True)
        done = ranks.launch(processes, "parity_ranks.py", tp, out, *models.values())
        assert done.returncode == 0, done.stderr[-4000:]
    wrote = out / where
    return {
        name: Computed(source, load_file(wrote / f"{name}.safetensors"), wrote / name)
        for name, source in models.items()
    }


@pytest.fixture(scope="module")
def hugging_face(models: dict[str, Path]) -> dict[str, dict[str, Any]]:
    return {name: _hugging_face(folder) for name, folder in models.items()}


def _hugging_face(folder: Path) -> dict[str, Any]:
    """The same by transformers: all sequences in one padded batch."""
    import torch
    import transformers

    from helpers.pack import COEFFICIENTS, sequences

    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    batch = sequences(model.config.vocab_size)
    lengths = torch.tensor([len(ids) for ids in batch])
    width = int(lengths.max())
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in batch])
    mask = (torch.arange(width)[None] < lengths[:, None]).long()
    hidden = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
    features = hidden[torch.arange(len(batch)), lengths - 1]
    scores = model.score(features).squeeze(-1)
    (scores * torch.tensor(COEFFICIENTS)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    return {"scores": scores.detach(), "features": features.detach(), "gradients": gradients, "norm": norm}


def test_the_scores_spread(hugging_face: dict[str, dict[str, Any]]) -> None:
    for name, expected in hugging_face.items():
        assert float(expected["scores"].max() - expected["scores"].min()) >= 1, name


def test_packed_scores_are_hugging_faces_of_a_padded_batch(
    computed: dict[str, Computed], hugging_face: dict[str, dict[str, Any]]
) -> None:
    for name, expected in hugging_face.items():
        assert _distance(computed[name].tensors["packed"], expected["scores"]) <= 1e-5, name


def test_a_sequence_scores_alone_as_it_does_in_a_pack(
    computed: dict[str, Computed], hugging_face: dict[str, dict[str, Any]]
) -> None:
    for name, expected in hugging_face.items():
        assert _distance(computed[name].tensors["alone"], expected["scores"]) <= 1e-5, name


def test_features_are_the_last_hidden_states(
    computed: dict[str, Computed], hugging_face: dict[str, dict[str, Any]]
) -> None:
    for name, expected in hugging_face.items():
        assert _distance(computed[name].tensors["features"], expected["features"]) <= 1e-5, name


def test_every_parameter_has_hugging_faces_gradient(
    computed: dict[str, Computed], hugging_face: dict[str, dict[str, Any]]
) -> None:
    for name, expected in hugging_face.items():
        for parameter, gradient in expected["gradients"].items():
            ours = computed[name].tensors[f"gradient.{parameter}"]
            assert _distance(ours, gradient) <= 1e-4 * float(gradient.abs().max()), f"{name}: {parameter}"


def test_the_gradients_norm_counts_every_parameter_once(
    computed: dict[str, Computed], hugging_face: dict[str, dict[str, Any]]
) -> None:
    for name, expected in hugging_face.items():
        assert float(computed[name].tensors["norm"]) == pytest.approx(float(expected["norm"]), rel=1e-5), name


def test_from_hugging_face_and_back_no_bit_changes(computed: dict[str, Computed]) -> None:
    for name, made in computed.items():
        before, after = _tensors(made.source), _tensors(made.round_trip)
        assert before.keys() == after.keys(), name
        assert all((before[tensor] == after[tensor]).all() for tensor in before), name


def _distance(left: Any, right: Any) -> float:
    assert left.shape == right.shape
    return float((left - right).abs().max())


def _tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}
