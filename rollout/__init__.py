"""What drives generation in slime: rollout function, curriculum, filters, logging. Nothing is here yet.

May import `reward` and `coderm_slime`.
"""
