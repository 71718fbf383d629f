"""The prompts: jinja files `<step>.<role>.jinja` to read and to change; a folder of them can take the place of ours."""

import hashlib
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError

from coderm_slime.errors import CodermError

_OURS = Path(__file__).parent


class PromptError(CodermError):
    """A prompt's file is missing, or is no template, or wants a value that the step does not give."""


class Prompts:
    """The prompts of a run.

    Attributes:
        fingerprint: of all files' names and text, 16 hex digits.
    """

    def __init__(self, texts: dict[str, str], loader: ChoiceLoader) -> None:
        listed = repr(sorted(texts.items())).encode("utf-8", "surrogatepass")
        self.fingerprint = hashlib.sha256(listed).hexdigest()[:16]
        self._environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)

    @classmethod
    def load(cls, folder: Path | None = None) -> "Prompts":
        """Our prompts; a file in `folder` takes the place of ours of its name. Raises PromptError."""
        if folder is not None and not folder.is_dir():
            raise PromptError(f"the folder with prompts {folder} does not exist")
        folders = [_OURS] if folder is None else [folder, _OURS]
        paths = {path.name: path for place in reversed(folders) for path in place.glob("*.jinja")}
        texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
        return cls(texts, ChoiceLoader([FileSystemLoader(place) for place in folders]))

    def render(self, name: str, **values: object) -> str:
        """The prompt `name`, such as "judge.user", without the white space around it. Raises PromptError."""
        try:
            return self._environment.get_template(f"{name}.jinja").render(values).strip()
        except TemplateError as error:
            raise PromptError(f"prompt {name}: {type(error).__name__}: {error}") from error
