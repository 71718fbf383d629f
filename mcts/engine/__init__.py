"""Runs many problems' steps and searches at once, so that the endpoints stay full and nothing done is lost.

seeds      the seed of a try, from what it is for
spent      calls, tokens and cost by step
asker      the two pools of endpoints, what was spent, outages in a row
rows       what the journal keeps of a step and of a rollout
journal    SQLite: each result is one atomic row
desk       hands out open problems, takes results; commits in groups, off the event loop
course     one problem's way from its solution to its tree
scheduler  a bounded number of courses at the same time; drains on request
folder     the run folder: one process at a time, one configuration
files      trees and failures as JSON lines, out of the journal
cluster    the same engine on the nodes of a Ray cluster
"""
