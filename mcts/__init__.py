"""Step 1, reward data by tree search over code prefixes (paper section 3). May import only `coderm_slime`.

config      the YAML file of a run: endpoints, sampling, schedule
failures    why a step came to nothing
asking      how a step asks a language model
search/     which rollout comes next, and what its outcome does to the tree
export/     trees as training files, with a data card
view/       finished trees as a page
"""
