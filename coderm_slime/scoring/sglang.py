"""SGLang's own server with the flags a model needs. Not run here on a GPU yet; the command line is what is tested."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from coderm_slime.errors import CodermError
from coderm_slime.scoring.weights import is_reward_model, needs_zero_bias


def become_sglang(model: Path, host: str, port: int, dtype: str, more: Sequence[str]) -> NoReturn:
    """Replace this process by SGLang's server.

    Raises:
        CodermError: see `sglang_command`; or SGLang is not installed.
    """
    command = sglang_command(model, host, port, dtype, more)
    if importlib.util.find_spec("sglang") is None:
        raise CodermError("--engine sglang needs SGLang, which is not installed here; it comes with slime's image")
    os.execv(sys.executable, command)


def sglang_command(model: Path, host: str, port: int, dtype: str, more: Sequence[str]) -> list[str]:
    """The command line: a reward model is embedding-like, a language model is not.

    Raises:
        CodermError: port 0, or a head to which SGLang would add a random bias.
    """
    if port == 0:
        raise CodermError("--engine sglang needs a --port of its own; SGLang takes no 0")
    reward = is_reward_model(model)
    if reward and needs_zero_bias(model):
        raise CodermError(
            f"SGLang would add a random bias to the scores of {model}: write a copy with a zero one by "
            f"`coderm prepare {model} DST` and serve that"
        )
    served = ["--model-path", str(model), "--host", host, "--port", str(port), "--dtype", dtype]
    flags = ["--is-embedding"] if reward else []
    return [sys.executable, "-m", "sglang.launch_server", *served, *flags, *more]
