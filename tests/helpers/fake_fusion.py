"""A FAKE SandboxFusion: `fake_fusion.py MODE` prints its URL and serves replies of that service's form; runs nothing.

The modes are keys of `REPLIES`; a number answers with that status; `drop` hangs up; `busy` gives 503 with Retry-After
twice, then `ok`. GET /seen tells the bodies of the requests.
"""

import asyncio
import sys
from typing import Any

from aiohttp import web


def told(status: str, run: dict[str, Any] | None, message: str = "") -> dict[str, Any]:
    fixed = {"compile_result": None, "executor_pod_name": None, "files": {}}
    return {"status": status, "message": message, "run_result": run, **fixed}


def ran(code: int | None, status: str = "Finished", stdout: str = "hello\n", stderr: str = "") -> dict[str, Any]:
    return {"status": status, "execution_time": 0.03, "return_code": code, "stdout": stdout, "stderr": stderr}


REPLIES = {
    "ok": told("Success", ran(0)),
    "exception": told("Failed", ran(1, stderr="Traceback ...\nZeroDivisionError: division by zero\n")),
    "signal": told("Failed", ran(-11)),
    "timeout": told("Failed", ran(None, "TimeLimitExceeded")),
    "error": told("SandboxError", None, "exception on running code print(1): no room"),
    "run-error": told("SandboxError", {"status": "Error", "stderr": "exception on running command"}),
    "no-code": told("Success", ran(None)),
    "strange": {"status": "Fine"},
    "list": [1],
}


class FakeFusion:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.seen: list[Any] = []

    async def run_code(self, request: web.Request) -> web.Response:
        self.seen.append(await request.json())
        if self.mode == "drop":
            request.transport.close()
        if self.mode.isdigit():
            return web.Response(status=int(self.mode), text="told to fail")
        if self.mode == "busy" and len(self.seen) <= 2:
            return web.Response(status=503, headers={"Retry-After": "1"})
        return web.json_response(REPLIES.get(self.mode, REPLIES["ok"]))

    async def ping(self, _: web.Request) -> web.Response:
        return web.json_response("pong")

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response(self.seen)


def app_for(mode: str) -> web.Application:
    fake = FakeFusion(mode)
    app = web.Application()
    app.router.add_post("/run_code", fake.run_code)
    app.router.add_get("/v1/ping", fake.ping)
    app.router.add_get("/seen", fake.tell)
    return app


if __name__ == "__main__":
    from serving import serve  # beside this script

    asyncio.run(serve(app_for(sys.argv[1])))
