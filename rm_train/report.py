"""What a stage ended with: its figures as JSON, every score, and plots of its curves. One rank writes."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rm_train.data.store import write_facts
from rm_train.evaluate import Evaluated
from rm_train.log import read_metrics
from rm_train.loop import Place


def write_report(output: Path, stage: str, place: Place, found: Mapping[str, Evaluated]) -> None:
    """Write STAGE.json, STAGE.scores.jsonl and STAGE.png into the folder `output`; older ones are replaced.

    A row of scores is a unit of a validation set: its problem's key, and the scores of its programs in order.
    """
    sets = {
        name: {
            **of_set.figures.model_dump(mode="json"),
            "swap_error": of_set.swap_error,
            "swap_shift": of_set.swap_shift,
        }
        for name, of_set in found.items()
    }
    facts = {**dataclasses.asdict(place), "global_step": place.global_step, "validation": sets}
    write_facts(facts, output / f"{stage}.json")
    rows = [
        {"set": name, "key": key, "scores": scores}
        for name, of_set in found.items()
        for key, scores in zip(of_set.keys, of_set.scores, strict=True)
    ]
    (output / f"{stage}.scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    _plot(output, stage, found)


def _plot(output: Path, stage: str, found: Mapping[str, Evaluated]) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    rows = [row for row in read_metrics(output) if row["stage"] == stage]
    figure = Figure(figsize=(12, 8), layout="constrained")
    (loss, accuracy), (calibration, margins) = figure.subplots(2, 2)
    steps = [row for row in rows if row["kind"] == "step"]
    loss.plot([row["step"] for row in steps], [row["loss"] for row in steps], linewidth=0.8)
    loss.set(title=f"loss of stage {stage}", xlabel="step")
    _plot_accuracy(accuracy, rows)
    for name, of_set in found.items():
        if (pairs := of_set.figures.pairs) is not None:
            bins = pairs.calibration
            calibration.plot([b.predicted for b in bins], [b.found for b in bins], marker="o", label=name)
            edges = pairs.margins.edges
            margins.stairs([count / sum(pairs.margins.counts) for count in pairs.margins.counts], edges, label=name)
        else:
            bins = of_set.figures.calibration
            calibration.plot([b.predicted for b in bins], [b.found for b in bins], marker="s", label=name)
    calibration.axline((0.5, 0.5), slope=1, linestyle="--", color="grey", linewidth=0.8)
    calibration.set(title="calibration", xlabel="predicted", ylabel="found")
    margins.set(title="margin of chosen over rejected", ylabel="part of pairs")
    for axes in (accuracy, calibration, margins):
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    figure.savefig(output / f".{stage}.png", dpi=120)
    (output / f".{stage}.png").replace(output / f"{stage}.png")


def _plot_accuracy(axes: Any, rows: list[dict[str, Any]]) -> None:
    evaluations = [row for row in rows if row["kind"] == "evaluation"]
    for name in dict.fromkeys(row["set"] for row in evaluations):
        of_set = [row for row in evaluations if row["set"] == name]
        key = "accuracy" if "accuracy" in of_set[0] else "mse"
        axes.plot([row["step"] for row in of_set], [row[key] for row in of_set], marker=".", label=f"{name}: {key}")
    axes.set(title="validation sets", xlabel="step")
