"""One endpoint's settings, its key, and the count of what was used. Sends nothing.

`LlmEndpoint` is made to be a field of a settings section, so nothing here imports `coderm_slime.settings`.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coderm_slime.access import Url, fits_a_header
from coderm_slime.errors import CodermError

CHAT_PATH = "/v1/chat/completions"

_VARIABLE_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_TOKENS_PRICED = 1_000_000


class EndpointError(CodermError):
    """An endpoint's key is missing or cannot be sent, or a pool has no endpoint."""


Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LlmEndpoint(BaseModel):
    """One model at one server that speaks OpenAI's chat protocol.

    Attributes:
        url: base address, without /v1.
        model: the name by which the server knows the model.
        api_key_variable: environment variable that holds the server's key; the key itself is never a setting.
        max_in_flight: requests under way at the same time.
        usd_per_million_input: price of a million prompt tokens; given together with the next, or neither.
        usd_per_million_output: price of a million completion tokens.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url
    model: str = Field(min_length=1)
    api_key_variable: str | None = None
    max_in_flight: int = Field(default=16, ge=1)
    usd_per_million_input: Usd | None = None
    usd_per_million_output: Usd | None = None

    @model_validator(mode="after")
    def _prices_come_together(self) -> "LlmEndpoint":
        prices = (self.usd_per_million_input, self.usd_per_million_output)
        if (prices[0] is None) != (prices[1] is None):
            raise ValueError(
                f"usd_per_million_input={prices[0]} and usd_per_million_output={prices[1]}: give both, or neither"
            )
        return self

    def usd(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """What so many tokens cost; None without a price."""
        if self.usd_per_million_input is None or self.usd_per_million_output is None:
            return None
        priced = prompt_tokens * self.usd_per_million_input + completion_tokens * self.usd_per_million_output
        return priced / _TOKENS_PRICED

    def key(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """The server's key; None where no variable is named.

        Raises:
            EndpointError: the variable is not set, or holds what no HTTP header can.
        """
        if self.api_key_variable is None:
            return None
        named = (
            self.api_key_variable if _VARIABLE_NAME.fullmatch(self.api_key_variable) else "(not shown: no such name)"
        )
        key = environ.get(self.api_key_variable, "").strip()
        if not key:
            raise EndpointError(
                f"endpoint {self.url}: api_key_variable must name an environment variable in capital letters that "
                f"holds the key, and {named} is not set or empty; set it, or drop api_key_variable"
            )
        if not fits_a_header(key):
            raise EndpointError(f"endpoint {self.url}: the key in {named} has characters that no HTTP header carries")
        return key


@dataclass(frozen=True)
class Usage:
    """What was asked for and what was used; two of them add up.

    Attributes:
        requests: attempts, those that ended while they waited for one of the endpoint's slots included.
        prompt_tokens: of every reply that says so, also of replies that were then refused as bad.
        completion_tokens: likewise.
        unmetered: replies of the right form that did not say what they used; tokens and cost are then too low.
        failures: attempts without a good reply, by the kind of `HttpError`, or "cancelled": ended under way by the
            call's deadline or by the caller; what such a request cost is not known.
        usd: None if an endpoint has no price.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unmetered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    usd: float | None = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            unmetered=self.unmetered + other.unmetered,
            failures=self.failures + other.failures,
            usd=None if self.usd is None or other.usd is None else self.usd + other.usd,
        )
