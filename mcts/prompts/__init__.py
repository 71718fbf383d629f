"""The prompts: jinja files `<step>.<role>.jinja` that people can read, and change in a folder of their own."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import DictLoader, Environment, StrictUndefined, TemplateError

from coderm_slime.errors import CodermError
from coderm_slime.llm import Message

_OURS = Path(__file__).parent
_BACKTICKS = re.compile("`{3,}")


class PromptError(CodermError):
    """A prompt's file is missing, or is no template, or wants a value that the step does not give."""


class Prompts:
    """The prompts of a run.

    Attributes:
        texts: the templates, by file name.
        fingerprint: of all files' names and text, 16 hex digits.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = dict(texts)
        listed = repr(sorted(texts.items())).encode("utf-8", "surrogatepass")
        self.fingerprint = hashlib.sha256(listed).hexdigest()[:16]
        self._environment = Environment(
            loader=DictLoader(self.texts), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters["fenced"] = fenced

    @classmethod
    def load(cls, folder: Path | None = None) -> "Prompts":
        """Our prompts; a file in `folder` takes the place of ours of its name.

        Raises:
            PromptError: there is no such folder, it holds a prompt that no step uses, or a file is no UTF-8.
        """
        if folder is not None and not folder.is_dir():
            raise PromptError(f"the folder with prompts {folder} does not exist")
        folders = [_OURS] if folder is None else [folder, _OURS]
        ours = {path.name for path in _OURS.glob("*.jinja")}
        paths = {path.name: path for place in reversed(folders) for path in place.glob("*.jinja")}
        if unknown := sorted(paths.keys() - ours):
            known = ", ".join(sorted(ours))
            raise PromptError(f"{folder} holds {', '.join(unknown)}, which no step uses; known: {known}")
        return cls({name: _text(path) for name, path in paths.items()})

    def render(self, name: str, **values: object) -> str:
        """The prompt `name`, such as "judge.user", without the white space around it. Raises PromptError."""
        try:
            return self._environment.get_template(f"{name}.jinja").render(values).strip()
        except TemplateError as error:
            raise PromptError(f"prompt {name}: {type(error).__name__}: {error}") from error

    def messages(self, step: str, **values: object) -> Sequence[Message]:
        """The system's and the user's turn of a step. Raises PromptError."""
        return (
            Message(role="system", content=self.render(f"{step}.system", **values)),
            Message(role="user", content=self.render(f"{step}.user", **values)),
        )


def fenced(text: str, tag: str = "") -> str:
    """`text` in a fence longer than any run of backticks in it, so that it cannot end its own block."""
    ticks = "`" * max([3, *(len(run) + 1 for run in _BACKTICKS.findall(text))])
    return f"{ticks}{tag}\n{text.rstrip()}\n{ticks}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"cannot read the prompt {path}: {error}") from error
