"""The run folder: held by one process at a time, and by one configuration from its first run to its last."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from coderm_slime import __version__, files
from coderm_slime.errors import CodermError
from mcts.config import CurateConfig, CurateConfigError, checked_config, read_config
from mcts.engine.journal import FILE, Journal

CONFIG_FILE, LOCK_FILE = "curate.yaml", "lock"
# How the run gets its answers, not what it asks: another value leaves all results as they would have been.
_HARMLESS = ("problems_in_flight", "attempts", "attempt_s", "deadline_s", "max_outages", "prompts")
_ENDPOINTS = ("endpoints", "judge_endpoints")


class RunFolderError(CodermError):
    """The run folder is in use, belongs to another configuration, or is none."""


def held(folder: Path) -> AbstractContextManager[None]:
    """Hold `folder`, made if absent, so that no other process works on it. The kernel lets go of it when we end.

    Raises:
        RunFolderError: another process holds it.
    """
    return files.held(folder / LOCK_FILE, RunFolderError(f"another process works on {folder}; wait for it or stop it"))


def config_for(folder: Path, file: Path | None, changes: Mapping[str, Any]) -> CurateConfig:
    """The configuration in `file`, or else the one that the run began with; `changes` on top.

    Raises:
        CurateConfigError, RunFolderError: it is missing or bad.
    """
    if file is None and not (folder / FILE).exists():
        raise RunFolderError(f"{folder} has not begun: name its configuration with --config")
    config = read_config(file or folder / CONFIG_FILE)
    if not changes:
        return config
    return checked_config({**config.model_dump(mode="json"), **changes})


def begin_or_go_on(
    journal: Journal, folder: Path, config: CurateConfig, prompts: str, *, accept_changes: bool = False
) -> None:
    """Note the configuration of a new run, or check that an old one goes on with the same.

    Args:
        prompts: their fingerprint.
        accept_changes: go on with other addresses, bounds and deadlines.

    Raises:
        RunFolderError: something differs; the text names it.
    """
    before, now = journal.facts(), {"config": config.model_dump_json(), "prompts": prompts}
    if before:
        _check_same(before, now, accept_changes)
    if before != now:
        text = yaml.safe_dump({"curate": config.model_dump(mode="json")}, sort_keys=False)
        with files.replaced(folder / CONFIG_FILE) as file:
            file.write(text.encode())
        journal.begin(now)


def settings_fingerprint(config: CurateConfig) -> str:
    """A hash of all that results depend on: all but addresses, bounds and deadlines."""
    text = json.dumps(_split(config)[0], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def provenance_of(config: CurateConfig, prompts: str) -> dict[str, str]:
    """What made a tree, by name."""
    judges = config.judge_endpoints or config.endpoints
    return {
        "coderm_slime": __version__,
        "prompts": prompts,
        "settings": settings_fingerprint(config),
        "models": ", ".join(sorted({one.model for one in config.endpoints})),
        "judge_models": ", ".join(sorted({one.model for one in judges})),
        "run_seed": str(config.seed),
    }


def _check_same(before: Mapping[str, str], now: Mapping[str, str], accept_changes: bool) -> None:
    try:
        old, new = (_split(CurateConfig.model_validate_json(facts["config"])) for facts in (before, now))
    except (ValueError, CurateConfigError) as error:
        raise RunFolderError(
            f"the run was begun by a version with other settings; begin a new folder: {error}"
        ) from None
    if lines := _differences(old[0], new[0]):
        raise RunFolderError("the run was begun otherwise; begin a new folder, or go back:\n  " + "\n  ".join(lines))
    if before["prompts"] != now["prompts"]:
        raise RunFolderError(
            f"the prompts have changed since the run began (fingerprint {before['prompts']}, now {now['prompts']}); "
            "begin a new folder, or go back"
        )
    if (lines := _differences(old[1], new[1])) and not accept_changes:
        raise RunFolderError(
            "the run was begun otherwise; --accept-changes goes on with what changes no result:\n  "
            + "\n  ".join(lines)
        )


def _split(config: CurateConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """Dotted names and values that results depend on, and those that they do not."""
    values = _flat(config.model_dump(mode="json", exclude=set(_ENDPOINTS)))
    harmless = {name: values.pop(name) for name in _HARMLESS}
    for name in _ENDPOINTS:
        endpoints = getattr(config, name)
        values[f"{name}.model"] = sorted({endpoint.model for endpoint in endpoints})
        harmless[name] = [endpoint.model_dump(mode="json") for endpoint in endpoints]
    return values, harmless


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    names = sorted(old.keys() | new.keys())
    return [f"curate.{one}: {old.get(one)!r}, now {new.get(one)!r}" for one in names if old.get(one) != new.get(one)]
