"""The one place that turns (prompt, response) into what the reward model reads.

Training, serving, evaluation, slime and TRL all call these functions; nothing else may build the model's input.
Covers: the question from messages, the answer after the last closed thought, bare programs as responses, token ids.
Not yet: a question inside an already templated string, and shortening of over-long inputs. Both are errors, not
guesses.
"""

from coderm_slime.chat.answer import Answer, final_answer
from coderm_slime.chat.fence import as_response
from coderm_slime.chat.question import QuestionError, last_user_turn
from coderm_slime.chat.render import Renderer, RenderError

__all__ = ["Answer", "QuestionError", "RenderError", "Renderer", "as_response", "final_answer", "last_user_turn"]
