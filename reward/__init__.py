"""What a sample is worth: the functions that slime and TRL load by dotted path. May import only `coderm_slime`."""
