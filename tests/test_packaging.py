"""What a user installs and reads agrees with itself."""

import json
import re
from pathlib import Path

import yaml

from coderm_slime import __version__
from coderm_slime.cli import build
from coderm_slime.records import REASONS
from coderm_slime.settings import Settings

ROOT = Path(__file__).resolve().parents[1]


def core_dependencies() -> list[str]:
    block = re.search(r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    return re.findall(r'^  "([^"]+)"', block.group(1), re.M)


def test_requirements_txt_lists_exactly_the_core_dependencies() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == core_dependencies()
    assert len(core_dependencies()) > 3


def test_the_core_dependencies_hold_nothing_that_the_image_brings() -> None:
    names = {re.split(r"[<>=\[]", spec)[0] for spec in core_dependencies()}
    assert not names & {"torch", "numpy", "ray", "sglang", "megatron-core", "slime"}


def test_version_is_the_same_in_changelog_and_citation() -> None:
    assert re.search(rf"^## {re.escape(__version__)}", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_the_readme_documents_every_reason_with_its_outcome() -> None:
    readme = (ROOT / "README.md").read_text()
    for reason, facts in REASONS.items():
        assert f"| `{reason.value}` | {facts.outcome.value} | {facts.meaning} | {facts.remedy} |" in readme


def test_the_readme_documents_every_setting() -> None:
    readme = (ROOT / "README.md").read_text()
    for section, field in Settings.model_fields.items():
        for key, inner in field.annotation.model_fields.items():
            default = inner.default if inner.default not in (None, ()) else "none"
            default = ", ".join(default) if isinstance(default, tuple) else default
            assert f"| `{section}.{key}` | {default} |" in readme


def test_every_command_in_the_readme_exists() -> None:
    app = build()
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {
        f"{group.name} {c.name}" for group in app.registered_groups for c in group.typer_instance.registered_commands
    }
    named = re.findall(
        r"^coderm ((?:(?:data|eval|bench|sandbox|curate) )?[a-z0-9-]+)", (ROOT / "README.md").read_text(), re.M
    )
    assert named
    assert set(named) <= known


def test_the_five_packages_ship_their_types() -> None:
    packages = re.search(r"^packages = (\[.*\])", (ROOT / "pyproject.toml").read_text(), re.M).group(1)
    assert json.loads(packages) == ["coderm_slime", "reward", "rollout", "mcts", "rm_train"]
    assert all((ROOT / package / "py.typed").exists() for package in json.loads(packages))
