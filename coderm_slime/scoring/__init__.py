"""Scores from a served reward model: the client of SGLang's HTTP API, and a CPU stand-in for the server."""
