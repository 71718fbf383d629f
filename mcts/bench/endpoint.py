"""A FAKE endpoint: chat completions by a script, at a stated speed, with stated failures.

`python -m mcts.bench.endpoint '{"seconds": 1}'` prints its URL. What it answers depends on the request's content
alone, and whether a request gets an HTTP error on the content and on how often it came before. The step is told by
`max_tokens`, see MAX_TOKENS. GET /log gives, for every request so far, when it began and ended in a slot, by the
machine's monotonic clock, and its status.
"""

import asyncio
import hashlib
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from coderm_slime.pycode import python_blocks
from mcts.asking import Step
from mcts.bench.scripted import number_in, program

MAX_TOKENS = {Step.REWRITE: 2001, Step.CALLS: 1001, Step.EXPAND: 2002, Step.JUDGE: 1002}
"""By which the FAKE tells what it is asked for; a run against it must have these."""

_MARK = re.compile(r"Grade (\w+): <number>")
_STEPS = {tokens: step for step, tokens in MAX_TOKENS.items()}
_CHARS_A_TOKEN = 4


@dataclass
class Script:
    """How it behaves.

    Attributes:
        seconds: that an answer takes; an HTTP error comes at once.
        slots: answers at the same time; further requests wait.
        errors, no_code, length: shares of requests that get HTTP 500, of answers without a code block or grade, and
            of answers that are cut off.
    """

    seconds: float = 1.0
    slots: int = 64
    errors: float = 0.05
    no_code: float = 0.05
    length: float = 0.03
    seen: Counter[str] = field(default_factory=Counter)
    log: list[tuple[float, float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.slots)

    async def chat(self, request: web.Request) -> web.Response:
        """POST /v1/chat/completions."""
        body = await request.json()
        async with self.free:
            began = time.monotonic()
            key = _content_key(body)
            self.seen[key] += 1
            failed = _share(f"error/{key}/{self.seen[key]}") < self.errors
            if not failed:
                await asyncio.sleep(self.seconds)
            self.log.append((began, time.monotonic(), 500 if failed else 200))
        if failed:
            return web.json_response({"error": "scripted"}, status=500)
        return web.json_response(self.answer(body, key))

    def answer(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        """The reply to a request of that content."""
        step, user = _STEPS[body["max_tokens"]], body["messages"][-1]["content"]
        text, reason = _text(step, user, key), "stop"
        kind = _share(f"kind/{key}")
        if kind < self.no_code:
            text = "I would rather think about this some more."
        elif kind < self.no_code + self.length:
            text, reason = text[: len(text) // 2].rsplit("\n", 1)[0], "length"
        usage = {
            "prompt_tokens": sum(len(one["content"]) for one in body["messages"]) // _CHARS_A_TOKEN,
            "completion_tokens": len(text) // _CHARS_A_TOKEN + 1,
        }
        message = {"role": "assistant", "content": text}
        return {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "usage": usage}

    async def tell(self, _: web.Request) -> web.Response:
        """GET /log."""
        return web.json_response(self.log)


def _text(step: Step, user: str, key: str) -> str:
    number, choice = number_in(user), int(key[:8], 16)
    if step is Step.CALLS:
        lines = [f"solve_{number}({list(range(size))})" for size in (3, 0, 1, 8)]
        return "Calls:\n\n```python\n" + "\n".join(lines) + "\n```\n"
    if step is Step.JUDGE:
        mark = _MARK.search(user)
        words = "The sum is built up as the problem asks for; the limit is not always taken off rightly."
        return f"{words}\nGrade {mark[1] if mark else ''}: {choice % 6}\n"
    shown = [block.code for block in python_blocks(user)]
    code = shown[-1] if step is Step.REWRITE else program(number, choice, shown[-1] if shown else "")
    return f"First the sum is built up, then the limit is taken off.\n\n```python\n{code.rstrip()}\n```\n"


def _content_key(body: dict[str, Any]) -> str:
    """A hash of all that was asked; a judge's mark, which may be drawn anew for each request, left out."""
    text = json.dumps(body, sort_keys=True)
    if mark := _MARK.search(text):
        text = text.replace(mark[1], "")
    return hashlib.sha256(text.encode()).hexdigest()


def _share(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


async def _serve(settings: dict[str, Any]) -> None:
    script = Script(**settings)
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", script.chat)
    app.router.add_get("/log", script.tell)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
