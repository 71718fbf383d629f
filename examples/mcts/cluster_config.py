"""The curation file of a cluster: FILE with each of its endpoints once for every ADDRESS, to stdout.

Usage: cluster_config.py FILE ADDRESS...
"""

import sys
from pathlib import Path

import yaml


def main(file: str, *addresses: str) -> None:
    """Write the file with the servers of all machines; their ports and all other keys stay."""
    document = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    document["curate"]["endpoints"] = [
        {**endpoint, "url": f"http://{address}:{endpoint['url'].rpartition(':')[2]}"}
        for address in addresses
        for endpoint in document["curate"]["endpoints"]
    ]
    yaml.safe_dump(document, sys.stdout, sort_keys=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
