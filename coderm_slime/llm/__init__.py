"""Language models behind OpenAI's chat protocol: a pool of endpoints, what it answers, what it costs.

Stands under every part that asks a model (the tree search generates and judges with it). Knows nothing of prompts, of
what an answer is for, or of the reward model; how a request gets through is `coderm_slime.http`'s work.

    endpoint    one endpoint's settings, and the count of what was used
    completion  a reply, checked
    pool        from messages to a completion
"""

from coderm_slime.llm.completion import Completion, Message, TokenLogprob
from coderm_slime.llm.endpoint import EndpointError, LlmEndpoint, Usage
from coderm_slime.llm.pool import LlmPool

__all__ = ["Completion", "EndpointError", "LlmEndpoint", "LlmPool", "Message", "TokenLogprob", "Usage"]
