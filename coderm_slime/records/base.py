"""What every record shares: it is frozen, carries its schema version, and loses no field of its source."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Record(BaseModel):
    """A frozen row that keeps keys it does not name in `metadata`, so that a foreign `bug_type` survives.

    Raises:
        pydantic.ValidationError: a field is missing or bad, or the row has another schema version.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    schema_version: Literal[1] = 1
    metadata: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _keep_unknown_keys(cls, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        known = set(cls.model_fields) | {f.alias for f in cls.model_fields.values() if f.alias}
        extra = {key: value for key, value in row.items() if key not in known}
        metadata = row.get("metadata", {})
        if not extra or not isinstance(metadata, dict):  # a bad metadata is the field's own error
            return row
        if both := sorted(extra.keys() & metadata.keys()):
            raise ValueError(f"{both} stand both in the row and in its metadata")
        return {key: value for key, value in row.items() if key in known} | {"metadata": {**extra, **metadata}}
