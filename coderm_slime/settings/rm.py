"""Section `rm`: the served reward model and how its logit becomes a reward."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Thinking = Literal["auto", "always", "never"]


def _split_commas(value: Any) -> Any:
    """`CODERM_RM__URLS=http://a:1,http://b:2` gives two URLs."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _base_address(url: str) -> str:
    url = url.rstrip("/")
    if url.endswith(("/v1", "/v1/embeddings")):
        raise ValueError("give the server's base address, without /v1")
    return url


Url = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/\S*)?$"), AfterValidator(_base_address)]


class RmSettings(BaseModel):
    """How to reach the reward model and read its answer.

    Attributes:
        urls: base addresses of servers that speak SGLang's `/v1/embeddings`, all serving the same checkpoint; each
            attempt goes to the next one.
        model_path: local folder of the checkpoint that is served: its tokenizer and chat template render the input.
        api_key_variable: environment variable that holds the servers' bearer token; the token itself is never a
            setting.
        clip: the reward lies in [-clip, clip] (paper: 4).
        thinking: whether a closed thought must come before the answer: `always`, `never`, or `auto`, which demands one
            where the prompt ends by opening a thought, or the response begins by opening or ever closes one.
        max_tokens: longest rendered input, in tokens; the paper trained with 2,048.
        deadline_s: seconds for one answer's score, all attempts and waiting included.
        attempt_s: seconds for one request, after which the next server is tried.
        attempts: requests per score at most; with the growing waits between them, ten take about 20 s of a server's
            restart.
        max_in_flight: requests under way at the same time, over all servers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    urls: Annotated[tuple[Url, ...], BeforeValidator(_split_commas)] = ()
    model_path: str | None = None
    api_key_variable: str = "CODERM_RM_API_KEY"
    clip: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    thinking: Thinking = "auto"
    max_tokens: int = Field(default=2048, ge=16)
    deadline_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    attempt_s: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    attempts: int = Field(default=10, ge=1)
    max_in_flight: int = Field(default=64, ge=1)
