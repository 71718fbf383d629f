"""A FAKE chat server: `fake_llm_server.py '[STEP, ...]'` prints its URL and serves; GET /seen tells what it was asked.

Request number n gets step n, later ones the last step. A step is a JSON object, all keys optional: `status`, `text`
(the reply's body; else a good answer), `headers` (of the reply), `wait_s`, `echo` (answer by the Authorization sent).
"""

import asyncio
import json
import sys
from typing import Any

from aiohttp import web

GOOD = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}


class FakeLlm:
    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self.steps = steps
        self.seen: dict[str, Any] = {"requests": 0, "most_in_flight": 0, "bodies": [], "authorizations": []}
        self.in_flight = 0

    async def chat(self, request: web.Request) -> web.Response:
        step = self.steps[min(self.seen["requests"], len(self.steps) - 1)]
        key = request.headers.get("Authorization")
        self.seen["requests"] += 1
        self.seen["authorizations"].append(key)
        self.seen["bodies"].append(await request.json())
        self.in_flight += 1
        self.seen["most_in_flight"] = max(self.seen["most_in_flight"], self.in_flight)
        try:
            await asyncio.sleep(step.get("wait_s", 0))
        finally:
            self.in_flight -= 1
        text = f"you sent {key}" if step.get("echo") else step.get("text", json.dumps(GOOD))
        return web.Response(status=step.get("status", 200), text=text, headers=step.get("headers"))

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response(self.seen)


def app_for(steps: list[dict[str, Any]]) -> web.Application:
    fake = FakeLlm(steps)
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", fake.chat)
    app.router.add_get("/seen", fake.tell)
    return app


if __name__ == "__main__":
    from serving import serve  # beside this script

    asyncio.run(serve(app_for(json.loads(sys.argv[1]))))
