"""The YAML file of a curation run, checked before anything is asked or run. Sampling is explicit for every step.

The file has one key, `curate:`. Where programs run is the section `sandbox` of the ordinary settings.
"""

import math
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from coderm_slime.errors import CodermError
from coderm_slime.llm import LlmEndpoint


class CurateConfigError(CodermError):
    """The run's file cannot be read, or a value in it is unknown or bad."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Sampling(_Frozen):
    """How one step's answers are sampled.

    Attributes:
        max_tokens: of the answer; one that reaches it is a failed try, and the next try is another sample.
        tries: answers asked for until one can be used.
    """

    temperature: float = Field(default=0.8, ge=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=2048, ge=1)
    tries: int = Field(default=3, ge=1)


class Steps(_Frozen):
    """The sampling of each step."""

    rewrite: Sampling = Sampling(temperature=0.2)
    calls: Sampling = Sampling(temperature=0.2, max_tokens=1024)
    expand: Sampling = Sampling()
    judge: Sampling = Sampling(temperature=0.2, max_tokens=1024)


class SearchConfig(_Frozen):
    """The tree search (method step 7).

    Attributes:
        schedule: `paper`, the published order; `uct`, selection from the first rollout with progressive widening.
        num_rollouts: evaluations or failed expansions of a tree; the initial path's is the first.
        exploration: weight c of UCT.
        parallel: rollouts of one tree under way at the same time, by virtual loss. Rollout i then sees the results of
            all up to i - parallel and of no other, whatever arrives when: a seed determines the tree.
        reflection: show an expansion an earlier completion with its output and the judge's words.
    """

    schedule: Literal["paper", "uct"] = "paper"
    max_branches: int = Field(default=4, ge=1)
    num_rollouts: int = Field(default=10, ge=1)
    exploration: float = Field(default=math.sqrt(2), ge=0)
    parallel: int = Field(default=1, ge=1)
    reflection: bool = True


class JudgeConfig(_Frozen):
    """How a response is graded (method step 8).

    Attributes:
        mode: `analysis`, words that end in a grade, as in the paper; `expectation`, words, and then the grade's
            expectation over the log-probabilities of the grade tokens, which the endpoint must give.
        samples: verdicts asked for; their mean is the grade, their spread is kept.
    """

    mode: Literal["analysis", "expectation"] = "analysis"
    samples: int = Field(default=1, ge=1)


class CurateConfig(_Frozen):
    """A whole run.

    Attributes:
        endpoints: language models that rewrite, write calls and expand; any of them may get a request.
        judge_endpoints: those that judge; `endpoints` if none are given.
        seed: of the whole run; a problem's own is derived from it and the problem's text.
        rewrite: whether the first path is a rewritten solution with prints; else the solution as it is.
        max_calls: sample calls of a problem.
        execution_s: seconds for one execution (method step 4).
        output_chars: characters of an execution's output that the judge sees, the first and the last half.
        attempts, attempt_s, deadline_s: requests for one answer, seconds for each, and for all of them.
        problems_in_flight: problems under way at the same time; enough to keep the endpoints busy if not given.
        max_outages: answers in a row that no endpoint gave; then the run stops, and a later one goes on.
        prompts: folder with prompts in place of ours, file by file.
    """

    endpoints: tuple[LlmEndpoint, ...] = Field(min_length=1)
    judge_endpoints: tuple[LlmEndpoint, ...] = ()
    seed: int = Field(default=0, ge=0)
    rewrite: bool = True
    max_calls: int = Field(default=5, ge=1)
    execution_s: float = Field(default=15.0, gt=0)
    output_chars: int = Field(default=5000, ge=2)
    attempts: int = Field(default=8, ge=1)
    attempt_s: float = Field(default=300.0, gt=0)
    deadline_s: float = Field(default=900.0, gt=0)
    problems_in_flight: int | None = Field(default=None, ge=1)
    max_outages: int = Field(default=20, ge=1)
    prompts: Path | None = None
    steps: Steps = Steps()
    search: SearchConfig = SearchConfig()
    judge: JudgeConfig = JudgeConfig()

    @model_validator(mode="after")
    def _samples_differ(self) -> "CurateConfig":
        if self.judge.samples > 1 and self.steps.judge.temperature == 0:
            raise ValueError(f"judge.samples = {self.judge.samples} at steps.judge.temperature = 0 are all the same")
        return self


def read_config(path: Path) -> CurateConfig:
    """The run's file.

    Raises:
        CurateConfigError: it is missing or no YAML, or a value is unknown or bad; the text names the key.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CurateConfigError(f"cannot read the curation file {path}: {error}") from error
    if not isinstance(document, dict) or set(document) != {"curate"}:
        raise CurateConfigError(f"the curation file {path} must have one top-level key, `curate:`")
    return checked_config(document["curate"] or {})


def checked_config(values: Any) -> CurateConfig:
    """The mapping under `curate:` as a configuration. Raises CurateConfigError."""
    try:
        return CurateConfig.model_validate(values)
    except ValidationError as error:
        faults = error.errors(
            include_url=False, include_input=False
        )  # an input may hold a key pasted in the wrong place
        lines = [f"curate.{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults]
        raise CurateConfigError("bad curation file:\n  " + "\n  ".join(lines)) from None
