"""Curves of a run: `metrics.jsonl` always, TensorBoard and Weights & Biases where asked for. One rank writes."""

import json
from pathlib import Path
from typing import Any, Protocol

from coderm_slime.errors import CodermError
from coderm_slime.files import replaced
from coderm_slime.records import RecordError, read_objects
from rm_train.config import TrainConfig

METRICS_FILE = "metrics.jsonl"


class _Sink(Protocol):
    def write(self, row: dict[str, Any]) -> None: ...

    def close(self) -> None: ...


class Log:
    """Rows of numbers by global step, to every place that was asked for.

    Args:
        config: says where.
        step: the run goes on after this global step: rows of later ones, which a killed run left, are taken out.

    Raises:
        CodermError: TensorBoard or W&B is asked for and not installed.
    """

    def __init__(self, config: TrainConfig, step: int) -> None:
        self._sinks: list[_Sink] = [_JsonLines(config.output / METRICS_FILE, step)]
        if config.logging.tensorboard:
            self._sinks.append(_TensorBoard(config.output / "tensorboard", step))
        if config.logging.wandb_project:
            self._sinks.append(_WandB(config))

    def write(self, row: dict[str, Any]) -> None:
        """A row; `global_step` is its place, `kind` is `step`, `evaluation` or `result`."""
        for sink in self._sinks:
            sink.write(row)

    def close(self) -> None:
        """All that was written is on disk after this."""
        for sink in self._sinks:
            sink.close()


class SilentLog:
    """On the ranks that do not write."""

    def write(self, row: dict[str, Any]) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def read_metrics(output: Path) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`, less a torn last one."""
    file = output / METRICS_FILE
    if not file.is_file():
        return []
    return [row for _, row in read_objects(file) if not isinstance(row, RecordError)]


class _JsonLines:
    def __init__(self, path: Path, step: int) -> None:
        kept = [row for row in read_metrics(path.parent) if row["global_step"] <= step]
        with replaced(path) as file:
            file.write("".join(json.dumps(row) + "\n" for row in kept).encode())
        self._file = path.open("a", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _TensorBoard:
    def __init__(self, folder: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise CodermError(f"logging.tensorboard needs the extra 'rm', or set it to false: {error}") from error
        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, row: dict[str, Any]) -> None:
        for name, value in _numbers(row).items():
            self._writer.add_scalar(f"{_prefix(row)}/{name}", value, row["global_step"])

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, config: TrainConfig) -> None:
        try:
            import wandb
        except ImportError as error:
            raise CodermError(
                f"logging.wandb_project={config.logging.wandb_project!r} needs `pip install wandb`: {error}"
            ) from error
        settings = json.loads(config.model_dump_json())
        self._run: Any = wandb.init(
            project=config.logging.wandb_project, dir=str(config.output), config=settings, name=config.output.name
        )

    def write(self, row: dict[str, Any]) -> None:
        values = {f"{_prefix(row)}/{name}": value for name, value in _numbers(row).items()}
        self._run.log({**values, "global_step": row["global_step"]})

    def close(self) -> None:
        self._run.finish()


def _prefix(row: dict[str, Any]) -> str:
    return "/".join(str(row[key]) for key in ("stage", "kind", "set") if key in row)


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, int | float) and "step" not in name}
