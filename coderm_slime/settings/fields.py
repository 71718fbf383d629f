"""How fields of several sections are read."""

from typing import Any

from pydantic import BeforeValidator


def _split_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


# A list that may be one text: `CODERM_RM__URLS=http://a:1,http://b:2` names two addresses.
COMMAS = BeforeValidator(_split_commas)
