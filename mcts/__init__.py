"""Step 1, reward data by tree search over code prefixes. Nothing is here yet. May import only `coderm_slime`."""
