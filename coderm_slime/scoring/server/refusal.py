"""Why a request is not served, as an HTTP status and the JSON in which SGLang says so."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, StrictStr
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from coderm_slime.text import encodable


def _without_lone_surrogates(text: str) -> str:
    if not text.isascii() and encodable(text) != text:
        raise ValueError("the text holds a lone surrogate, which no encoder takes")
    return text


# Every text of a request: JSON can spell what neither a tokenizer nor a reply takes.
Text = Annotated[StrictStr, AfterValidator(_without_lone_surrogates)]


class Refusal(HTTPException):
    """A request that is answered with an error; the text says what is wrong with it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message, {"Retry-After": "1"} if status == 503 else None)


def check_ids(index: int, ids: Sequence[int], longest: int, vocabulary: int) -> None:
    """Refuse an empty, over-long or foreign sequence: sent on, the first kills an SGLang server.

    Raises:
        Refusal: 400, naming the sequence.
    """
    if not 0 < len(ids) <= longest:
        raise Refusal(400, f"input {index} has {len(ids)} tokens; 1 to {longest} are served")
    if not (min(ids) >= 0 and max(ids) < vocabulary):
        raise Refusal(400, f"input {index} has a token id outside 0 to {vocabulary - 1}")


def answer_errors(app: FastAPI) -> None:
    """Have `app` answer every error in SGLang's form, a body of the wrong form with 400 as SGLang does."""

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        # The deepest fault is of the form that was meant, where several may be given. Its value may be of any size.
        fault = max(error.errors(), key=lambda fault: len(fault["loc"]))
        place = ".".join(part for part in map(str, fault["loc"]) if "[" not in part)  # names of types are no place
        return _error(400, f"{place}: {fault['msg']}")

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return _error(500, f"{type(error).__name__}: {error}")


def _error(status: int, message: str, headers: object = None) -> JSONResponse:
    kind = "BadRequestError" if status < 500 else "InternalServerError"
    body = {"error": {"message": encodable(message), "type": kind, "code": status}}
    return JSONResponse(body, status, headers if isinstance(headers, dict) else None)
