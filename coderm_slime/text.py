"""Text from outside as something that can be sent and encoded."""


def encodable(text: str) -> str:
    """`text` with lone surrogates, which no encoder takes, as '?'."""
    return text.encode("utf-8", "replace").decode("utf-8")
