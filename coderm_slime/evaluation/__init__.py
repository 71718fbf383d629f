"""A reward model judged on pairs of programs. Stands on scoring, metrics and report; trains nothing."""
