"""A calibration as a PNG: the curve, and how the grades fall on right and wrong programs."""

import importlib
import io
from typing import Any

from coderm_slime.errors import CodermError
from mcts.calibrate.figures import Calibration
from mcts.judge import MAX_GRADE

_RIGHT, _WRONG = "#2f6fb2", "#c8553d"


def draw(found: Calibration, title: str) -> bytes:
    """The picture's bytes.

    Raises:
        CodermError: matplotlib is missing.
    """
    try:
        figure_module = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise CodermError("the picture needs matplotlib: pip install matplotlib") from error
    figure = figure_module.Figure(figsize=(10, 4.6), layout="constrained")
    curve, confusion = figure.subplots(1, 2)
    _draw_curve(curve, found)
    _draw_confusion(confusion, found)
    figure.suptitle(f"{title}\n{found.finding}", fontsize=10)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return file.getvalue()


def _draw_curve(axes: Any, found: Calibration) -> None:
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", linewidth=1, label="calibrated")
    x = [one.mean_reward for one in found.bins]
    y = [one.share_right for one in found.bins]
    axes.plot(x, y, marker="o", color=_RIGHT, label="judge")
    for one in found.bins:
        above = one.share_right < 0.9
        axes.annotate(
            f"n={one.right + one.wrong}",
            (one.mean_reward, one.share_right),
            textcoords="offset points",
            xytext=(0, 8 if above else -16),
            ha="center",
            fontsize=8,
        )
    if found.right + found.wrong:
        base = found.right / (found.right + found.wrong)
        axes.axhline(base, color="grey", linewidth=1, linestyle=":", label=f"share of right programs, {base:.2f}")
    axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.05), xlabel="mean reward (grade / 5)", ylabel="share that is right")
    axes.set_title("Calibration", fontsize=10)
    axes.legend(fontsize=8, loc="upper left")


def _draw_confusion(axes: Any, found: Calibration) -> None:
    for offset, name, colour in ((-0.2, "right", _RIGHT), (0.2, "wrong", _WRONG)):
        counts = {one.grade: getattr(one, name) for one in found.bins}
        heights = [counts.get(grade, 0) for grade in range(MAX_GRADE + 1)]
        total = getattr(found, name)
        bars = axes.bar(
            [grade + offset for grade in range(MAX_GRADE + 1)],
            [height / total if total else 0 for height in heights],
            width=0.38,
            color=colour,
            label=f"{name} programs ({total})",
        )
        axes.bar_label(bars, labels=[str(height) if height else "" for height in heights], fontsize=8)
    axes.set(xlabel="grade", ylabel="share of these programs", ylim=(0, 1.1))
    axes.set_title("Grades of right and wrong programs (counts above the bars)", fontsize=10)
    axes.legend(fontsize=8)
