"""Step 2, the two-stage reward model on Megatron-core. Nothing is here yet. May import only `coderm_slime`."""
