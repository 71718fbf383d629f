"""All data of a run, rendered into its output folder before a model is loaded; a second run finds it there.

Needs no torch: `coderm train-rm` does this before it starts the ranks, so bad data stops a run in seconds. Ranks do
the same again and find it done; one at a time, held by a lock.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coderm_slime.chat import Renderer
from coderm_slime.files import held
from coderm_slime.scoring.probe import card_fits
from rm_train.config import Source, StageName, StagePart, TrainConfig
from rm_train.data.rows import DataError, Skipped, read_rows
from rm_train.data.store import Store, write_facts, write_store
from rm_train.data.units import render_units

FOLDER = "data"
_PIECE_BYTES = 1 << 20
_FORM = 1  # of the stored units: another number makes them anew


@dataclass(frozen=True)
class Prepared:
    """One set of rows, ready.

    Attributes:
        fingerprint: 16 hex digits over the files' content and all that rendering depends on.
    """

    file: Path
    fingerprint: str
    units: int
    skipped: Skipped

    def open(self) -> Store:
        """The units."""
        return Store(self.file)


@dataclass(frozen=True)
class StageSets:
    """What one stage reads."""

    train: Prepared
    validation: dict[str, Prepared]


def prepare(config: TrainConfig) -> dict[StageName, StageSets]:
    """Render what every stage reads, or find it rendered.

    Raises:
        DataError: a file is missing or torn, too many rows are bad, none is left, or a fingerprint is not the one
            that the configuration names.
        RenderError, ProbeError: the model's tokenizer, or its card, cannot be used.
    """
    folder = config.output / FOLDER
    with held(folder / ".lock", busy=None):
        card_fits(str(config.model))
        renderer = Renderer.load(str(config.model), config.max_tokens)
        sets = {part.name: _stage(config, part, renderer, folder) for part in config.parts}
    for part in config.parts:
        found, wanted = sets[part.name].train.fingerprint, part.data.fingerprint
        if wanted not in (None, found):
            raise DataError(
                f"data.{part.name}.fingerprint={wanted}, but its training rows have {found}: the files or the "
                "tokenizer are not those that were meant"
            )
    return sets


def _stage(config: TrainConfig, part: StagePart, renderer: Renderer, folder: Path) -> StageSets:
    validation = {
        name: _set(config, part, sources, renderer, folder) for name, sources in part.data.validation.items()
    }
    train = _set(config, part, part.data.train, renderer, folder)
    if part.stage.loss.kind == "bradley_terry" and not train.open().pairs.any():
        raise DataError(f"data.{part.name} has no pair, but its loss is Bradley and Terry's")
    return StageSets(train, validation)


def _set(
    config: TrainConfig, part: StagePart, sources: Sequence[Source], renderer: Renderer, folder: Path
) -> Prepared:
    sources = [source.model_copy(update={"path": config.data.root / source.path}) for source in sources]
    form = {
        "form": _FORM,
        "share": config.data.share_programs,
        "by_visits": part.stage.loss.visit_weights,
        "budget": part.stage.micro_batch_tokens if config.data.share_programs else None,
        "renderer": renderer.fingerprint,
    }
    fingerprint = _fingerprint(sources, form)
    file, facts = folder / f"{fingerprint}.arrow", folder / f"{fingerprint}.json"
    if not facts.is_file():
        skipped = Skipped()
        units = render_units(
            read_rows(sources, skipped),
            renderer,
            skipped,
            share=config.data.share_programs,
            by_visits=part.stage.loss.visit_weights,
            budget=part.stage.micro_batch_tokens,
        )
        count = write_store(units, file)
        write_facts({"units": count, "skipped": vars(skipped)}, facts)
    known = json.loads(facts.read_text(encoding="utf-8"))
    skipped = Skipped(**{**known["skipped"], "reasons": Counter(known["skipped"]["reasons"])})
    _check(skipped, known["units"], sources, config.data.max_bad_share)
    return Prepared(file, fingerprint, known["units"], skipped)


def _check(skipped: Skipped, units: int, sources: Sequence[Source], max_bad_share: float) -> None:
    files = ", ".join(str(source.path) for source in sources)
    first = f"; the first: {skipped.examples[0]}" if skipped.examples else ""
    if not units:
        raise DataError(f"no row of {files} can be used: {skipped}{first}")
    bad = skipped.reasons.total()
    if bad > max_bad_share * skipped.rows:
        raise DataError(
            f"{bad} of {skipped.rows} rows of {files} cannot be used, above data.max_bad_share={max_bad_share}: "
            f"{skipped}{first}"
        )


def _fingerprint(sources: Sequence[Source], form: Mapping[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(form, sort_keys=True).encode())
    for source in sources:
        digest.update(json.dumps(source.where, sort_keys=True).encode())
        try:
            with source.path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
        except FileNotFoundError as error:
            raise DataError(f"{source.path} is not there; name it in `data`, or where it lies by --data") from error
    return digest.hexdigest()[:16]
