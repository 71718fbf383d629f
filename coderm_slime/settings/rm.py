"""Section `rm`: the served reward model and how its logit becomes a reward."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from coderm_slime.access import Url
from coderm_slime.settings.failures import FailureSettings
from coderm_slime.settings.fields import COMMAS

Thinking = Literal["auto", "always", "never"]
Shaping = Literal["clip", "softplus", "sigmoid"]
Preset = Literal["paper", "robust"]


def _no_softmax(endpoint: Any) -> Any:
    if endpoint == "/v1/classify":
        raise ValueError("this endpoint soft-maxes, which makes every single-label score 1.0; use /v1/embeddings")
    return endpoint


Endpoint = Annotated[Literal["/v1/embeddings", "/classify"], BeforeValidator(_no_softmax)]


class RmSettings(FailureSettings):
    """How to reach the reward model, read its answer and shape it; what `FailureSettings` has besides.

    Attributes:
        urls: base addresses of servers or routers, all serving the same checkpoint.
        model_name: instead of `urls`: the reward model's entry in slime's `--sglang-config`.
        endpoint: `/v1/embeddings` works on servers and through sglang-router; `/classify` on servers only.
        model_path: local folder of the checkpoint that is served: its tokenizer and chat template render the input.
        policy_path: local folder of the policy, whose chat template tells where turns begin and end; slime's
            `--hf-checkpoint` by default, else the reward model's own template is taken. Without a chat template (a
            base model) a string prompt is the question itself.
        api_key_variable: environment variable that holds the servers' bearer token; the token itself is never a
            setting.
        preset: `robust` gives an answer without a Python block that parses the floor, unasked; `paper` asks the model
            about everything but an unclosed thought, and clips.
        shaping: from logit to reward: `clip` (the paper), `softplus` or `sigmoid` of the clipped logit.
        clip: logits are clipped to [-clip, clip], in which the reward lies, too (paper: 4).
        thinking: whether a closed thought must come before the answer: `always`, `never`, or `auto`, which demands one
            where the prompt ends or the response begins by opening a thought, and also takes off what comes before a
            `</think>` that stands outside the response's closed code blocks.
        max_tokens: longest rendered input, in tokens; by default the checkpoint's own, 2,048 (the paper's) where
            `coderm prepare` wrote none.
        deadline_s: seconds for one answer's score, all attempts and waiting included.
        attempt_s: seconds for one request, after which the next server is tried.
        attempts: requests per score at most; a failing server rests longer each time, up to 5 s, so that ten take
            half a minute of its restart.
        max_in_flight: requests under way at the same time, for each server.
        cache_items: scores kept for inputs that come again; 0 keeps none.
    """

    section: ClassVar[str] = "rm"

    urls: Annotated[tuple[Url, ...], COMMAS] = ()
    model_name: str | None = None
    endpoint: Endpoint = "/v1/embeddings"
    model_path: str | None = None
    policy_path: str | None = None
    api_key_variable: str = "CODERM_RM_API_KEY"
    preset: Preset = "robust"
    shaping: Shaping = "clip"
    clip: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    thinking: Thinking = "auto"
    max_tokens: int | None = Field(default=None, ge=16)
    deadline_s: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    attempt_s: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    attempts: int = Field(default=10, ge=1)
    max_in_flight: int = Field(default=64, ge=1)
    cache_items: int = Field(default=4096, ge=0)

    @model_validator(mode="after")
    def _pairs_fit(self) -> "RmSettings":
        if self.urls and self.model_name:
            raise ValueError(
                f"urls={list(self.urls)} and model_name={self.model_name!r} both name the servers; drop one"
            )
        if self.preset == "paper" and self.shaping != "clip":
            raise ValueError(f"preset='paper' means shaping='clip', not shaping={self.shaping!r}")
        return self
