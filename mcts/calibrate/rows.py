"""What a calibration keeps of each problem: one row once all its programs are judged, so that none is half there."""

from pydantic import BaseModel, ConfigDict, Field

from coderm_slime.records.base import Record


class JudgedProgram(BaseModel):
    """A program, its truth and the judge's word.

    Attributes:
        right: whether it passes its problem's own tests.
        kind: "solution", or the kind of edit that made it wrong.
        grade: from 0 to 5; None where the judge gave none, and `failure` then says why.
        output, ending: what the judge saw of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    program: str
    right: bool
    kind: str
    output: str
    ending: str
    grade: float | None = Field(default=None, ge=0, le=5)
    spread: float | None = None
    analysis: str = ""
    failure: str = ""


class JudgedProblem(Record):
    """All programs of one problem.

    Attributes:
        key: `problem_key` of the problem's text.
        made_by: fingerprint of all that decides the row: settings, models, prompts, seed.
        calls: the sample calls that the programs were run with.
        failure: why the problem has no programs; empty if it has.
    """

    id: str
    key: str
    made_by: str
    calls: str = ""
    programs: tuple[JudgedProgram, ...] = ()
    failure: str = ""
