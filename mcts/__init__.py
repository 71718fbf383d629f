"""Step 1, reward data by tree search over code prefixes (paper section 3). May import only `coderm_slime`.

config      the YAML file of a run: endpoints, sampling, schedule
failures    why a step came to nothing
asking      how a step asks a language model
prompts/    what a model is asked, as jinja files that a person can change
steps/      rewrite, sample calls, execution, expansion: ask, check, try again
judge/      the grade of one run
search/     which rollout comes next, and what its outcome does to the tree
engine/     many problems at once: scheduler, journal, run folder, Ray
bench/      `coderm bench curate`, against a FAKE endpoint
export/     trees as training files, with a data card
view/       finished trees as a page
"""
