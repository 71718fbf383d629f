"""The one place that turns (prompt, response) into what the reward model reads.

Training, serving, evaluation, slime and TRL all call these functions; nothing else may build the model's input.
Covers: the question from messages or from a templated prompt, the answer within the policy's turn and after the last
closed thought, bare programs as responses, token ids, and the one rule for inputs that are too long.
"""

from coderm_slime.chat.answer import Answer, final_answer
from coderm_slime.chat.fence import as_response
from coderm_slime.chat.policy import learn_turns
from coderm_slime.chat.question import last_user_turn
from coderm_slime.chat.render import Rendered, Renderer, load_tokenizer
from coderm_slime.chat.template import DEFAULT_MAX_TOKENS, RenderError, Template
from coderm_slime.chat.turns import QuestionError, Turns, TurnsError

__all__ = [
    "DEFAULT_MAX_TOKENS",
    "Answer",
    "QuestionError",
    "RenderError",
    "Rendered",
    "Renderer",
    "Template",
    "Turns",
    "TurnsError",
    "as_response",
    "final_answer",
    "last_user_turn",
    "learn_turns",
    "load_tokenizer",
]
