"""`coderm bench reward`: what slime's reward costs beyond the server's own time, and what serving costs the model."""
