"""Scores from a served reward model: the client of SGLang's HTTP API, and the CPU stand-in that speaks the same
protocol.
"""
