"""A FAKE `docker`: `run` starts the command as a plain process of this machine, `rm` kills it. It isolates nothing.

A line of $FAKE_DOCKER/calls for each call; a folder of $FAKE_DOCKER for each "container", removed when that ends. With
the image `missing` it fails as docker does.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ["FAKE_DOCKER"])
_WITHOUT_VALUE = ("--interactive", "--rm", "--init", "--read-only")


def run(arguments: list[str]) -> int:
    options = {}
    while arguments[0].startswith("-"):
        name = arguments.pop(0)
        options[name] = "" if name in _WITHOUT_VALUE else arguments.pop(0)
    image, *command = arguments
    if image == "missing":
        sys.stderr.write(f"docker: Error response from daemon: No such image: {image}\n")
        return 125
    folder = HOME / options["--name"]
    folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder)}
    process = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, start_new_session=True)
    (folder / "pid").write_text(str(process.pid))
    code = process.wait()
    end_group(process.pid)  # as a container takes all its processes with it
    shutil.rmtree(folder)
    return code if code >= 0 else 128 - code


def remove(arguments: list[str]) -> int:
    name = arguments[-1]
    if not (HOME / name / "pid").exists():
        sys.stderr.write(f"Error response from daemon: No such container: {name}\n")
        return 1
    end_group(int((HOME / name / "pid").read_text()))
    return 0


def end_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    with open(HOME / "calls", "a") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    sys.exit({"run": run, "rm": remove}[sys.argv[1]](sys.argv[2:]))
