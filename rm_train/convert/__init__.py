"""Between Hugging Face folders and the Megatron model: `load` reads one, `export` writes one that is served as it is.

Reads and writes safetensors only; nothing is unpickled.
"""

from rm_train.convert.export import export
from rm_train.convert.load import Head, load

__all__ = ["Head", "export", "load"]
