"""`two_stage.yaml` as one frozen typed object, checked before torch is imported. The defaults are the paper's numbers.

Covers what can be known from the file alone and from the folders it names; whether a run fits the machine's memory or
the model's heads fit the tensor parallelism is checked later, where the model's shape is known.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from coderm_slime.chat import DEFAULT_MAX_TOKENS
from coderm_slime.errors import CodermError
from coderm_slime.files import replaced

StageName = Literal["regression", "ranking"]
STAGES: tuple[StageName, ...] = ("regression", "ranking")
CONFIG_FILE = "config.yaml"  # the whole configuration of a run, written into its output folder


class ConfigError(CodermError):
    """The configuration is unknown or bad in a key. The text names each key, its value, and what is known there."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(_Frozen):
    """A JSONL file, or the rows of it whose fields have one of the values in `where`."""

    path: Path
    where: dict[str, tuple[str | int | bool, ...]] = {}

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, source: Any) -> Any:
        return {"path": source} if isinstance(source, str | Path) else source


class StageData(_Frozen):
    """What one stage reads.

    Attributes:
        train: files whose rows are scalar (`response`, `q`, `n`) or pairs (`chosen`, `rejected`).
        validation: sets by name; each is evaluated and reported by itself.
        fingerprint: refuse training rows of another one (it is printed and kept with every checkpoint).
    """

    train: tuple[Source, ...] = Field(min_length=1)
    validation: dict[str, tuple[Source, ...]] = {}
    fingerprint: str | None = None


class Data(_Frozen):
    """The data of both stages; one without data is not run.

    Attributes:
        root: where relative paths start.
        max_bad_share: rows that cannot be used, over all rows; above it the run is refused.
        share_programs: rows of one problem that follow each other become one unit, in which a program that stands in
            several rows is read once. The loss is the same, the batches are less mixed; the paper has single rows.
    """

    root: Path = Path()
    regression: StageData | None = None
    ranking: StageData | None = None
    max_bad_share: float = Field(default=0.05, ge=0, le=1)
    share_programs: bool = False

    @model_validator(mode="after")
    def _something_to_train_on(self) -> "Data":
        if self.regression is None and self.ranking is None:
            raise ValueError("neither `regression` nor `ranking` has data, so there is nothing to train on")
        return self


class Loss(_Frozen):
    """What is minimised.

    Attributes:
        kind: `mse` to the labels in [0, 1] (stage 1), `bradley_terry` (stage 2), or `mixed`, their weighted sum.
        mse_weight: of the mean squared error, where mixed.
        margin: a pair's scores shall differ by at least so much, times the difference of its labels where known.
        label_smoothing: the share of pairs that is taken to be the wrong way round.
        visit_weights: a row counts as often as its evaluations (n; of a pair the harmonic mean of both).
        centring: weight of (r_chosen + r_rejected)^2, which keeps scores around 0 (pairs alone do not say where 0 is).
    """

    kind: Literal["mse", "bradley_terry", "mixed"]
    mse_weight: float = Field(default=0.1, ge=0)
    margin: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    visit_weights: bool = False
    centring: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _options_have_pairs(self) -> "Loss":
        on_pairs = {"margin": self.margin, "label_smoothing": self.label_smoothing, "centring": self.centring}
        unused = {name: value for name, value in on_pairs.items() if value}
        if self.kind == "mse" and unused:
            raise ValueError(f"kind='mse' knows no pairs, so {unused} would do nothing; drop it or take another kind")
        return self


class Stage(_Frozen):
    """How one stage is trained.

    Attributes:
        lr: peak of the learning rate: linear warm-up, then a cosine to 0.
        batch: rows (scalar or pairs) of a step, over all ranks (paper: 8 GPUs x 8 x accumulation 2).
        micro_batch_tokens: most tokens that a rank reads at once; sequences are packed without padding.
        warmup: part of the steps.
        clip: largest norm of the gradient.
        time_budget_minutes: end by then, evaluations included: the schedule runs by the clock where that is ahead of
            the steps.
    """

    loss: Loss
    lr: float = Field(gt=0)
    epochs: int = Field(default=2, ge=1)
    batch: int = Field(default=128, ge=1)
    micro_batch_tokens: int = Field(default=16384, ge=1)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)
    time_budget_minutes: float | None = Field(default=None, gt=0)


class RegressionStage(Stage):
    """Stage 1, mean squared error to the label."""

    loss: Loss = Loss(kind="mse")
    lr: float = Field(default=1e-6, gt=0)


class RankingStage(Stage):
    """Stage 2, Bradley and Terry's model on pairs."""

    loss: Loss = Loss(kind="bradley_terry")
    lr: float = Field(default=5e-7, gt=0)


class Stages(_Frozen):
    """Both stages; which of them run is decided by `data`."""

    regression: RegressionStage = RegressionStage()
    ranking: RankingStage = RankingStage()


class Head(_Frozen):
    """How the score head starts.

    Attributes:
        start: `keep` the checkpoint's own; or a new one: `random` (the paper), `zero`, or `ridge`, fitted in closed
            form on what the frozen backbone makes of training rows, so that training does not start from noise.
        rows: training units that the fit reads at most.
    """

    start: Literal["keep", "ridge", "zero", "random"] = "keep"
    rows: int = Field(default=2000, ge=2)


class Evaluation(_Frozen):
    """When validation sets are scored.

    Attributes:
        every_steps: besides the start and the end of each stage; None means only then.
        rows: units of each set that are scored in mid-training; None means all, as at the end of a stage.
        select_by: a validation set: the stage ends with the weights that ordered its pairs best, not with the last.
    """

    every_steps: int | None = Field(default=None, ge=1)
    rows: int | None = Field(default=None, ge=1)
    select_by: str | None = None


class Checkpoints(_Frozen):
    """When the state is written, beside the end of each stage, and how many of them stay."""

    every_steps: int | None = Field(default=200, ge=1)
    every_minutes: float | None = Field(default=None, gt=0)
    keep: int = Field(default=2, ge=1)


class Logging(_Frozen):
    """Where curves go, beside `metrics.jsonl`; W&B only where a project is named."""

    every_steps: int = Field(default=1, ge=1)
    tensorboard: bool = True
    wandb_project: str | None = None


class TrainConfig(_Frozen):
    """All of it.

    Attributes:
        model: local Hugging Face folder: a reward model, or a language model together with a new head.
        output: folder of checkpoints, curves and exported models; a second run goes on from what is there.
        max_tokens: longest rendered input.
        dtype: of weights and activations; masters and moments are float32.
        tp: ranks that share each layer's weights; the others are data parallel.
        recompute: run each layer's forward again in the backward pass, to save memory.
    """

    model: Path
    output: Path
    data: Data
    stages: Stages = Stages()
    head: Head = Head()
    max_tokens: int = Field(default=DEFAULT_MAX_TOKENS, ge=16)
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    tp: int = Field(default=1, ge=1)
    recompute: bool = False
    seed: int = 0
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()
    logging: Logging = Logging()

    @field_validator("model", "output", mode="after")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @model_validator(mode="after")
    def _values_fit_each_other(self) -> "TrainConfig":
        for part in self.parts:
            needed = self.max_tokens * (1 if part.stage.loss.kind == "mse" else 2)
            if part.stage.micro_batch_tokens < needed:
                raise ValueError(
                    f"stages.{part.name}.micro_batch_tokens={part.stage.micro_batch_tokens} is less than what one row "
                    f"may take, {needed} tokens (max_tokens={self.max_tokens})"
                )
            if self.evaluation.select_by not in (None, *part.data.validation):
                raise ValueError(
                    f"evaluation.select_by={self.evaluation.select_by!r} is no validation set of data.{part.name} "
                    f"({', '.join(part.data.validation) or 'it has none'})"
                )
        return self

    @property
    def parts(self) -> tuple["StagePart", ...]:
        """The stages that are run, in order."""
        return tuple(
            StagePart(name, getattr(self.stages, name), data)
            for name in STAGES
            if (data := getattr(self.data, name)) is not None
        )


@dataclass(frozen=True)
class StagePart:
    """A stage together with its name and data."""

    name: StageName
    stage: Stage
    data: StageData


def load_config(path: Path, options: Mapping[str, Any] | None = None) -> TrainConfig:
    """Read a configuration; `options` are values by dotted key from a command line, which win over the file.

    Raises:
        ConfigError: the file cannot be read, a key is unknown, a value is bad, or two values do not fit.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no keys but a {type(tree).__name__}")
    for key, value in (options or {}).items():
        _set(tree, key.split("."), value)
    return _validated(tree, str(path))


def _validated(tree: dict[str, Any], where: str) -> TrainConfig:
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{where}: " + _explain(error)) from None


def with_data(config: TrainConfig, data: Path) -> TrainConfig:
    """`config` on other data: a folder that holds the files it names, or one file that stands for each of them."""
    if data.is_dir():
        return config.model_copy(update={"data": config.data.model_copy(update={"root": data.absolute()})})
    tree = config.model_dump(mode="json")
    for name in STAGES:
        stage = tree["data"][name]
        lists = [] if stage is None else [stage["train"], *stage["validation"].values()]
        for source in (source for sources in lists for source in sources):
            source["path"] = str(data.absolute())
    return _validated(tree, "the options")


def with_sets(config: TrainConfig, train: Sequence[Path], validation: Mapping[str, Path]) -> TrainConfig:
    """`config` with other training files, if any, and with more validation sets, in every stage that has data."""
    tree = config.model_dump(mode="json")
    for name in STAGES:
        if (stage := tree["data"][name]) is None:
            continue
        if train:
            stage["train"] = [{"path": str(path.absolute())} for path in train]
        stage["validation"] |= {key: [{"path": str(path.absolute())}] for key, path in validation.items()}
    return _validated(tree, "the options")


def save_config(config: TrainConfig, path: Path) -> None:
    """Write `config` so that `load_config` reads the same again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as file:
        file.write(yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False).encode())


def _set(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    *path, last = keys
    for key in path:
        inner = tree.setdefault(key, {})
        if not isinstance(inner, dict):
            return  # it stays, for the validation to name it
        tree = inner
    tree[last] = value


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        shown = isinstance(fault["input"], str | int | float | None) and fault["type"] != "missing"
        value = f"{key} = {fault['input']!r}" if shown else key
        known = f" (known here: {', '.join(_known(fault['loc'][:-1]))})" if fault["type"] == "extra_forbidden" else ""
        lines.append(f"{value or 'together'}: {fault['msg'].removeprefix('Value error, ')}{known}")
    return "bad configuration:\n  " + "\n  ".join(lines)


def _known(section: tuple[int | str, ...]) -> list[str]:
    model: Any = TrainConfig
    for part in section:
        field = getattr(model, "model_fields", {}).get(str(part))
        if field is None:
            return []
        inner = field.annotation
        model = next((kind for kind in getattr(inner, "__args__", ()) if hasattr(kind, "model_fields")), inner)
    return sorted(getattr(model, "model_fields", ()))
