"""Where a server is and what opens it: base addresses and keys, checked before anything is sent. Sends nothing.

No error's text here holds the address or the key itself: either may be, or contain, a secret.
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

# Where SGLang and OpenAI's protocol answer. Any other path may be a proxy's and belong to a base address.
_CALLS = ("/v1", "/chat/completions", "/completions", "/embeddings", "/classify", "/encode", "/generate")


def base_address(url: str) -> str:
    """`url` without a slash at its end.

    Raises:
        ValueError: it is no server's http(s) address, or says more than that.
    """
    url = url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise ValueError("an address must start with http:// or https://")
    if "@" in url:
        raise ValueError(
            "an address must not hold credentials, for it is logged: name in api_key_variable an environment variable "
            "that holds the key"
        )
    if any(char.isspace() or char in "?#" for char in url):
        raise ValueError("an address holds no white space, ? or #")
    if not _names_host_and_port(url):
        raise ValueError("an address is http://HOST:PORT with a port from 1 to 65535")
    if url.endswith(_CALLS):
        raise ValueError("give the server's base address, without a path such as /v1; a call's path is added to it")
    return url


def _names_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number or too large, a bracket that is not closed
        return False


def fits_a_header(key: str) -> bool:
    """Whether an HTTP header can carry `key`."""
    return key.isascii() and key.isprintable()


Url = Annotated[str, AfterValidator(base_address)]
