"""How a policy writes turns, read off the small files in its folder.

slime names its policy's folder to every run, and loading a tokenizer takes a second for a large vocabulary, during
much of which the interpreter stands still, the rollout's event loop included. So the tokenizer is not built: its chat
template is rendered by jinja as Hugging Face does it, and its control tokens are listed in those files.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from coderm_slime.chat.render import load_tokenizer
from coderm_slime.chat.turns import Turns, TurnsError

logger = logging.getLogger(__name__)

_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LISTS = ("additional_special_tokens", "extra_special_tokens")


def learn_turns(folder: str) -> Turns:
    """`Turns.learn` for the policy in a local folder. Where its files do not tell, the tokenizer itself is loaded.

    Raises:
        RenderError: there is no tokenizer.
        TurnsError: its chat template does not show how it writes turns.
    """
    try:
        return Turns.learn(_PolicyFiles.read(Path(folder)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, TurnsError) as error:
        logger.info("the tokenizer of %s is loaded, since its files alone do not tell its turns: %s", folder, error)
    return Turns.learn(load_tokenizer(folder))


class _AddedToken(NamedTuple):
    content: str
    special: bool

    def __str__(self) -> str:
        return self.content


class _PolicyFiles:
    """What `Turns.learn` asks a Hugging Face tokenizer for, under the same names."""

    def __init__(self, chat_template: str | None, special: Mapping[str, str], added: Sequence[_AddedToken]) -> None:
        self.chat_template = chat_template
        self.eos_token = special.get("eos_token")
        self.added_tokens_decoder = dict(enumerate(added))
        self._special = special

    @classmethod
    def read(cls, folder: Path) -> "_PolicyFiles":
        """Read a tokenizer's folder.

        Raises:
            OSError, ValueError, LookupError, TypeError, AttributeError: it is not of the usual form.
        """
        config = _json_in(folder / "tokenizer_config.json")
        config = {**_json_in(folder / "special_tokens_map.json", missing={}), **config}
        special = {role: _content(config[role]) for role in _ROLES if config.get(role)}
        named = [*special.values(), *(_content(token) for key in _LISTS for token in config.get(key) or ())]
        listed = config.get("added_tokens_decoder")
        rows = list(listed.values()) if listed else _added_tokens_in(folder / "tokenizer.json")
        added = [_AddedToken(row["content"], row["special"]) for row in rows]
        added += [_AddedToken(token, True) for token in named]
        return cls(_template_in(folder, config), special, added)

    def apply_chat_template(self, messages: list[dict[str, str]], *, tokenize: bool, **options: Any) -> str:
        """Render `messages` as text."""
        from jinja2.exceptions import TemplateError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def refuse(message: str) -> None:
            raise TemplateError(message)

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = lambda value, **how: json.dumps(value, **{"ensure_ascii": False, **how})
        environment.globals |= {
            "raise_exception": refuse,
            "strftime_now": lambda how: datetime.now().strftime(how),
        }
        known = {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": False}
        return environment.from_string(self.chat_template or "").render({**known, **self._special, **options})


def _template_in(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The template file goes before the one in the configuration; of several by name, the one called `default`."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        return next(str(entry["template"]) for entry in template if entry["name"] == "default")
    if template is not None and not isinstance(template, str):
        raise TypeError(f"chat_template is {template!r:.80}")
    return template


def _added_tokens_in(tokenizer_file: Path) -> Any:
    """The list `added_tokens`, which stands before the vocabulary: what follows, most of the file, is not parsed."""
    text = tokenizer_file.read_text(encoding="utf-8")
    at = text.index('"added_tokens"')
    return json.JSONDecoder().raw_decode(text, text.index("[", at))[0]


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, Mapping) else token)


def _json_in(path: Path, missing: Any = None) -> Any:
    if missing is not None and not path.is_file():
        return missing
    return json.loads(path.read_text(encoding="utf-8"))
