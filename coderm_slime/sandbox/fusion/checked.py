"""What came over HTTP, as a record or as an error that says where it is wrong."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from coderm_slime.sandbox.program import SandboxError

M = TypeVar("M", bound=BaseModel)


class FormError(SandboxError):
    """A request or a reply is of the wrong form; the text says where."""


def checked(model: type[M], body: object) -> M:
    """`body` as `model`; the error names the first fault's place, not what stands there, which may be of any size.

    Raises:
        FormError: `body` is no such thing.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in fault["loc"]) or "the body"
        raise FormError(f"{place}: {fault['msg']}") from None
