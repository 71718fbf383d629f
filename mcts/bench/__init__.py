"""`coderm bench curate`: how full the engine keeps an endpoint, and what it costs, against a FAKE endpoint.

scripted  problems, and programs for them of which any prefix can be gone on with
endpoint  a FAKE endpoint that answers with such programs, at a stated speed, with stated failures
one_run   one process's run, measured from within
measure   the figures: work queue and static shards side by side
"""
