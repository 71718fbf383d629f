"""mcts/README.md agrees with what it describes."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from coderm_slime.cli import build
from mcts.config import CurateConfig, Steps
from mcts.failures import FailureReason

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "mcts" / "README.md").read_text(encoding="utf-8")
SAMPLING = ("temperature", "top_p", "max_tokens", "tries")


def model_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model that a field holds, or holds a tuple of."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def keys(model: type[BaseModel], prefix: str = "") -> list[tuple[str, FieldInfo]]:
    """Every key below `model`, dotted; `[]` stands for an item of a list."""
    found: list[tuple[str, FieldInfo]] = []
    for name, field in model.model_fields.items():
        inner, is_list = model_of(field), get_args(field.annotation) != ()
        if inner is None or is_list:
            found.append((f"{prefix}{name}", field))
        if inner is not None:
            found += keys(inner, f"{prefix}{name}{'[]' if is_list else ''}.")
    return found


def shown(value: Any) -> str:
    if value is None or value == ():
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def in_table() -> list[tuple[str, FieldInfo]]:
    """The keys of the guide's first table: the judges' are the endpoints', and steps have a table of their own."""
    return [(key, field) for key, field in keys(CurateConfig) if not key.startswith(("judge_endpoints[]", "steps."))]


@pytest.mark.parametrize(("key", "field"), in_table(), ids=[key for key, _ in in_table()])
def test_the_guide_lists_every_key_with_its_default(key: str, field: FieldInfo) -> None:
    default = "required" if field.is_required() else shown(field.default)
    assert f"\n| `{key}` | {default} | " in GUIDE


def test_the_guide_lists_no_key_that_there_is_not() -> None:
    table = GUIDE.split("| key | default | what it is |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)`", table, re.M) == [key for key, _ in in_table()]


def test_the_guide_gives_the_sampling_of_every_step() -> None:
    assert [name for name, _ in keys(Steps)] == [f"{step}.{key}" for step in Steps.model_fields for key in SAMPLING]
    for step in Steps.model_fields:
        sampling = getattr(Steps(), step)
        assert f"| `steps.{step}` | {' | '.join(str(getattr(sampling, key)) for key in SAMPLING)} |" in GUIDE


@pytest.mark.parametrize("reason", FailureReason)
def test_the_guide_explains_every_reason_for_a_failed_try(reason: FailureReason) -> None:
    assert f"\n| `{reason.value}` | " in GUIDE


def commands() -> list[str]:
    """The lines of the guide's shell blocks that call `coderm`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.M | re.S)
    return [line.partition(" #")[0] for block in blocks for line in block.splitlines() if line.startswith("coderm ")]


@pytest.mark.parametrize("line", commands())
def test_every_command_in_the_guide_exists_and_has_the_options_shown(line: str) -> None:
    command, words = get_command(build()), line.split()[1:]
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


def test_the_guide_lists_every_option_of_a_run() -> None:
    run = get_command(build()).commands["curate"].commands["run"]
    table = GUIDE.split("| option of `run` and its steps | what for |")[1].split("\n\n")[0]
    named = [option for parameter in run.params for option in (*parameter.opts, *parameter.secondary_opts)]
    options = {option for option in named if option.startswith("--")} - {"--no-accept-changes"}
    assert set(re.findall(r"--[a-z][a-z-]+", table)) == options - {"--help"}


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_expected_calls_and_tokens_follow_from_their_assumptions() -> None:
    table = GUIDE.split("| step | used answers |")[1].split("\n\n")[0].splitlines()[2:]
    *steps, (_, _, _, answers, _, _, read, written) = [
        [cell.strip() for cell in row.split("|")[1:-1]] for row in table
    ]
    assert [row[0] for row in steps] == list(Steps.model_fields)
    for _, used, tries, asked, tokens_in, tokens_out, millions_in, millions_out in steps:
        problems, each = map(number, used.split(" x "))
        assert number(asked) == pytest.approx(problems * each * number(tries))
        assert number(millions_in) == pytest.approx(number(asked) * number(tokens_in) / 1e6)
        assert number(millions_out) == pytest.approx(number(asked) * number(tokens_out) / 1e6)
    assert number(answers) == sum(number(row[3]) for row in steps)
    assert number(read) == pytest.approx(sum(number(row[6]) for row in steps))
    assert number(written) == pytest.approx(sum(number(row[7]) for row in steps))
    seconds = (number(read) + number(written)) * 1e6 / (8 * 2000)
    assert f"= {seconds:,.0f} s = {seconds / 3600:.1f} h" in GUIDE
    halved = seconds - sum(number(row[6]) + number(row[7]) for row in steps[2:]) / 2 * 1e6 / (8 * 2000)
    assert f"{halved * 8 * 2000 / 1e6:.2f} million tokens, {halved / 3600:.1f} h" in GUIDE


def test_every_file_that_the_guide_names_in_the_repository_is_there() -> None:
    named = set(re.findall(r"\b(?:mcts|examples|tests)/[\w/.]+\w", GUIDE))
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert len(named) > 5
