"""From the reward model's logit to a reward in [-clip, clip], the same for a floor as for a score."""

import math

from coderm_slime.settings import RmSettings


def shape(logit: float, settings: RmSettings) -> float:
    """Clip `logit`, then shape it: `clip` leaves it (paper), `softplus` and `sigmoid` are of the clipped logit.

    All three grow with the logit. With clip 4, `softplus` lies in [0.018, 4] and `sigmoid` in [0.018, 0.982].
    """
    clipped = max(-settings.clip, min(settings.clip, logit))
    if settings.shaping == "softplus":
        return min(settings.clip, math.log1p(math.exp(-abs(clipped))) + max(clipped, 0.0))
    if settings.shaping == "sigmoid":
        return 1.0 / (1.0 + math.exp(-clipped))
    return clipped


def floor(settings: RmSettings) -> float:
    """The score of an answer that is judged worthless without asking the model: that of the logit -clip."""
    return shape(-settings.clip, settings)
