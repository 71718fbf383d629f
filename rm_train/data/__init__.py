"""From JSONL files to the micro-batches of every step: read, rendered, stored once, drawn in a fixed order, packed.

Knows neither the model nor what is minimised. `rows` and `units` read and render, `store` keeps the result as one
Arrow file that all ranks map (`prepare` does all three), `plan` says which units a step has and which rank reads
them, `batch` makes tensors of them. Only `batch` needs torch.
"""
