"""Typed settings, checked before anything heavy is imported.

Sources, the later wins: defaults; ONE key `coderm:` in a YAML file; variables such as `CODERM_RM__URLS`. The YAML
file is slime's `--custom-config-path` (slime then sets `args.coderm`) or, without slime, the file that
`CODERM_CONFIG` names. A part that needs settings adds a section: a frozen model in a module of its own here, and a
field of `Settings`.

The variables are read by the few lines below rather than by pydantic-settings: that package doubles the import time
of a plugin which every Ray actor imports, and lets a misspelt section pass.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from coderm_slime.errors import CodermError
from coderm_slime.settings.failures import FailureSettings, OnFailure
from coderm_slime.settings.hybrid import HybridRule, HybridSettings
from coderm_slime.settings.rm import Preset, RmSettings, Shaping, Thinking
from coderm_slime.settings.sandbox import SandboxSettings
from coderm_slime.settings.tests import TestRule, TestsSettings

ENV_PREFIX = "CODERM_"
CONFIG_VARIABLE = "CODERM_CONFIG"
_SECRET_WORDS = {"key", "token", "secret", "password"}

__all__ = [
    "FailureSettings",
    "HybridRule",
    "HybridSettings",
    "OnFailure",
    "Preset",
    "RmSettings",
    "SandboxSettings",
    "Settings",
    "SettingsError",
    "Shaping",
    "TestRule",
    "TestsSettings",
    "Thinking",
    "load_settings",
]


class SettingsError(CodermError):
    """A setting is unknown or bad. The text names the key, its value unless it may be secret, and where to look."""


class Settings(BaseModel):
    """All sections under the key `coderm:`. An unknown key, at any depth, is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rm: RmSettings = RmSettings()
    tests: TestsSettings = TestsSettings()
    hybrid: HybridSettings = HybridSettings()
    sandbox: SandboxSettings = SandboxSettings()


def load_settings(
    args: object | None = None,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Read slime's `args` (its attribute `coderm`), or the file `CODERM_CONFIG`; then the environment; then `options`.

    Args:
        args: slime's arguments, or anything with an optional attribute `coderm` that holds a mapping.
        environ: the environment to read; this process's own by default.
        options: values by section from a command line, which win over everything.

    Raises:
        SettingsError: a key is unknown, a value is bad, or the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    tree = getattr(args, "coderm", None)
    if tree is None and (path := environ.get(CONFIG_VARIABLE)):  # set to nothing is not set
        tree = _read_yaml(Path(path))
    if not isinstance(tree, Mapping | None):
        raise SettingsError(f"`coderm:` must hold sections such as `rm:`, found a {type(tree).__name__}")
    try:
        return Settings.model_validate(_overlay(_overlay(tree or {}, _from_environment(environ)), options or {}))
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _read_yaml(path: Path) -> Any:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"cannot read the settings file {path} (from {CONFIG_VARIABLE}): {error}") from error
    if not isinstance(document, dict) or "coderm" not in document:
        raise SettingsError(f"the settings file {path} has no top-level key `coderm:`")
    return document["coderm"]


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    likely_typos = {f"{ENV_PREFIX}{path}".upper().replace(".", "_"): path for path in _all_keys()}
    tree: dict[str, dict[str, Any]] = {}
    for name, value in environ.items():
        if path := likely_typos.get(name):
            right = f"{ENV_PREFIX}{path}".upper().replace(".", "__")
            raise SettingsError(f"the variable {name} sets nothing; the setting {path} is {right}, two underscores")
        section, separator, key = name.removeprefix(ENV_PREFIX).partition("__")
        if name.startswith(ENV_PREFIX) and separator:
            tree.setdefault(section.lower(), {})[key.lower()] = value
    return tree


def _all_keys() -> list[str]:
    return [f"{section}.{key}" for section in Settings.model_fields for key in _known_keys((section,))]


def _overlay(base: Mapping[str, Any], over: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    merged = dict(base)
    for section, values in over.items():
        below = merged.get(section) or {}
        if isinstance(below, Mapping):  # else it stays, for the validation to name it
            merged[section] = {**below, **values}
    return merged


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        known = (
            "" if fault["type"] != "extra_forbidden" else f" (known here: {', '.join(_known_keys(fault['loc'][:-1]))})"
        )
        value = "" if _may_be_secret(fault) else f" = {fault['input']!r}"
        lines.append(f"coderm.{key}{value}: {fault['msg']}{known}")
    return "bad settings:\n  " + "\n  ".join(lines)


def _may_be_secret(fault: ErrorDetails) -> bool:
    """Whether the value must not be shown: of an unknown key, of several keys, of a key's or an address's secret."""
    value = fault["input"]
    words = {word for part in fault["loc"] for word in str(part).lower().split("_")}
    return (
        fault["type"] == "extra_forbidden"
        or not isinstance(value, str | int | float | None)
        or not words.isdisjoint(_SECRET_WORDS)
        or "@" in str(value)
    )


def _known_keys(section: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in section:
        inner = model.model_fields[str(part)].annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return sorted(model.model_fields)
