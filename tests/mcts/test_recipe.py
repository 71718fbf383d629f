"""The full-scale recipe in examples/mcts: its file, its final commands, and its scripts over FAKE servers."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.processes import free_port
from mcts.config import CurateConfig, SearchConfig, read_config

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "mcts"
CONFIG = RECIPE / "curate_8xa100.yaml"
LAUNCH = "python3 -m sglang.launch_server"
# A FAKE of SGLang in the place of python3: answers everything with 200 at --port, until it is told to end.
FAKE_PYTHON = """#!{python}
import http.server, pathlib, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200), self.end_headers()
    def log_message(self, *parts):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


def dry(script: str, *arguments: str, **variables: str) -> list[str]:
    """The commands that a script would run, one a line."""
    result = subprocess.run(
        ["bash", RECIPE / script, "--dry-run", *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def option(command: str, name: str) -> str:
    return re.search(rf"{name} (\S+)", command)[1]


def test_the_file_is_read_and_its_search_is_the_published_one() -> None:
    config = read_config(CONFIG)
    assert config.search == SearchConfig()
    assert (config.max_calls, config.execution_s, config.output_chars) == (5, 15.0, 5000)
    assert config.problems_in_flight is None


def test_the_file_names_every_step_and_all_keys_that_change_results() -> None:
    given = read_config(CONFIG).model_dump(exclude_unset=True)
    everywhere = CurateConfig.model_fields.keys() - {"judge_endpoints", "problems_in_flight", "prompts"}
    assert given.keys() == everywhere
    assert set(given["steps"]) == {"rewrite", "calls", "expand", "judge"}
    assert all(set(step) == {"temperature", "top_p", "max_tokens", "tries"} for step in given["steps"].values())


def test_each_endpoint_of_the_file_is_a_server_that_run_sh_starts_with_room_for_its_requests() -> None:
    servers = [line for line in dry("run.sh") if line.startswith(LAUNCH)]
    endpoints = read_config(CONFIG).endpoints
    assert [one.url for one in endpoints] == [f"http://127.0.0.1:{option(line, '--port')}" for line in servers]
    for endpoint, line in zip(endpoints, servers, strict=True):
        assert endpoint.model == option(line, "--served-model-name")
        assert endpoint.max_in_flight == int(option(line, "--max-running-requests"))
    longest = max(step.max_tokens for step in (read_config(CONFIG).steps.expand, read_config(CONFIG).steps.judge))
    assert int(option(servers[0], "--context-length")) >= 2 * longest


def test_eight_gpus_are_used_once_each() -> None:
    servers = [line for line in dry("run.sh") if line.startswith(LAUNCH)]
    gpus = [
        int(option(line, "--base-gpu-id")) + place
        for line in servers
        for place in range(int(option(line, "--tp-size")))
    ]
    assert gpus == list(range(8))


def test_the_run_is_one_command_with_every_path_and_size_from_the_environment() -> None:
    *_, run = dry("run.sh", SOURCE="p.jsonl", PROBLEMS="7", RUN="my run", CONFIG="c.yaml", SERVERS="1")
    assert run.split() == [
        "coderm",
        "curate",
        "run",
        "p.jsonl",
        "--run",
        "my\\",
        "run",
        "--config",
        "c.yaml",
        "--limit",
        "7",
    ]
    assert "--limit 12000" in dry("run.sh")[-1]


def test_the_container_is_removed_and_gets_the_gpus_the_memory_and_names_of_secrets_alone() -> None:
    (line,) = dry("docker.sh", IMAGE="some/image", HF_TOKEN="secret-token", MODELS="/m")
    assert line.startswith("docker run --rm --gpus all --shm-size=16g ")
    assert line.rstrip().endswith("some/image bash /recipe/run.sh")
    assert "--env HF_TOKEN" in line
    assert "secret-token" not in line
    assert "--volume /m:/models:ro" in line


def test_on_several_machines_each_serves_at_its_address_and_the_first_runs_an_engine_for_each() -> None:
    machines = {"MACHINES": "10.0.0.7 10.0.0.8 10.0.0.9"}
    head, second = dry("ray.sh", "0", **machines), dry("ray.sh", "1", **machines)
    assert head[0].startswith("ray start --head --block --port 6379 --node-ip-address 10.0.0.7 ")
    assert [option(line, "--host") for line in head if line.startswith(LAUNCH)] == ["10.0.0.7"] * 4
    assert "--ray 10.0.0.7:6379 --ray-workers 3" in head[-1]
    assert [option(line, "--host") for line in second if line.startswith(LAUNCH)] == ["10.0.0.8"] * 4
    assert second[-1].rstrip() == "ray start --block --address 10.0.0.7:6379 --node-ip-address 10.0.0.8"
    (line,) = dry("docker.sh", "ray.sh", "1", **machines)
    assert "--network host" in line
    assert line.rstrip().endswith("bash /recipe/ray.sh 1")


def test_the_file_of_a_cluster_has_each_server_of_each_machine_and_is_the_same_else(tmp_path: Path) -> None:
    command = [sys.executable, RECIPE / "cluster_config.py", CONFIG, "10.0.0.7", "10.0.0.8"]
    (tmp_path / "cluster.yaml").write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    one, cluster = read_config(CONFIG), read_config(tmp_path / "cluster.yaml")
    assert [endpoint.url for endpoint in cluster.endpoints] == [
        f"http://10.0.0.{last}:{port}" for last in (7, 8) for port in range(30000, 30004)
    ]
    assert cluster.model_copy(update={"endpoints": one.endpoints}) == one


@pytest.mark.parametrize(
    ("script", "arguments"), [("serve.sh", []), ("ray.sh", []), ("ray.sh", ["2"]), ("docker.sh", ["x.sh"])]
)
def test_a_script_that_is_called_wrongly_starts_nothing(script: str, arguments: list[str]) -> None:
    env = {"PATH": os.environ["PATH"], "MACHINES": "10.0.0.7 10.0.0.8"}
    command = ["bash", RECIPE / script, *arguments]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr


@pytest.fixture
def over_fakes(tmp_path: Path) -> dict[str, str]:
    """An environment in which serve.sh starts one FAKE server."""
    fake = tmp_path / "bin" / "python3"
    fake.parent.mkdir()
    fake.write_text(FAKE_PYTHON.format(python=sys.executable))
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    return {
        "PATH": path,
        "MODEL": str(tmp_path),
        "SERVERS": "1",
        "FIRST_PORT": str(free_port()),
        "LOGS": str(tmp_path),
    }


# A FAKE of Ray: a cluster that is there until it is told to end, with one machine.
FAKE_RAY = """#!/bin/bash
echo "ray $*"; sleep 600 & trap "kill $!; exit 0" TERM
wait
"""


def listens(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def test_the_command_runs_when_the_servers_answer_and_they_end_with_it(over_fakes: dict[str, str]) -> None:
    port = over_fakes["FIRST_PORT"]
    work = ["bash", "-c", f": </dev/tcp/127.0.0.1/{port} && echo done; exit 3"]
    result = subprocess.run(
        ["bash", RECIPE / "serve.sh", *work], env=over_fakes, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout) == (3, "done\n"), result.stderr
    assert not listens(port)


def test_a_signal_lets_the_command_end_by_itself_before_the_servers_stop(over_fakes: dict[str, str]) -> None:
    port = over_fakes["FIRST_PORT"]
    saving = f": </dev/tcp/127.0.0.1/{port} && echo saved; exit 130"  # the server is there until then
    work = f"trap '{saving}' TERM; echo ready; while :; do read -r -t 1 <> <(:) || true; done"
    process = subprocess.Popen(
        ["bash", RECIPE / "serve.sh", "bash", "-c", work],
        env=over_fakes,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.stdout.read() == "saved\n"
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
    assert not listens(port)


def test_a_server_that_ends_at_once_ends_the_script_with_its_log_named(over_fakes: dict[str, str]) -> None:
    fake = Path(over_fakes["PATH"].split(os.pathsep)[0]) / "python3"
    fake.write_text("#!/bin/sh\nexit 1\n")
    result = subprocess.run(
        ["bash", RECIPE / "serve.sh", "echo", "ran"], env=over_fakes, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert f"ended, see {over_fakes['LOGS']}" in result.stderr


def test_the_first_machine_of_a_cluster_runs_the_work_over_its_servers_and_ends_all_of_it(
    over_fakes: dict[str, str], tmp_path: Path
) -> None:
    """Over FAKES of Ray, the servers and `coderm`: the script alone is looked at."""
    programs = Path(over_fakes["PATH"].split(os.pathsep)[0])
    count = f'#!/bin/bash\n[[ $1 != -c ]] || {{ echo 1; exit; }}\n[[ $1 == -m ]] || exec {sys.executable} "$@"\n'
    (programs / "server").write_text(FAKE_PYTHON.format(python=sys.executable))
    (programs / "python3").write_text(f'{count}exec {sys.executable} {programs}/server "$@"\n')
    (programs / "ray").write_text(FAKE_RAY)
    (programs / "coderm").write_text('#!/bin/bash\necho "coderm $*"; exit 1\n')
    for name in ("ray", "coderm"):
        (programs / name).chmod(0o755)
    env = {**over_fakes, "MACHINES": "127.0.0.1", "RUN": str(tmp_path / "run"), "RAY_AUTH_TOKEN": "ours"}
    result = subprocess.run(["bash", RECIPE / "ray.sh", "0"], env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1, result.stderr
    assert result.stdout.startswith("coderm curate run hub:")
    assert "--ray 127.0.0.1:6379 --ray-workers 1" in result.stdout
    assert len(read_config(tmp_path / "run" / "curate_cluster.yaml").endpoints) == 4
    assert "ray start --head" in (tmp_path / "ray-head.log").read_text()
    assert not listens(over_fakes["FIRST_PORT"])


def test_a_cluster_without_a_secret_is_not_started(over_fakes: dict[str, str]) -> None:
    result = subprocess.run(
        ["bash", RECIPE / "ray.sh", "0"],
        env={**over_fakes, "MACHINES": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode != 0
    assert "RAY_AUTH_TOKEN" in result.stderr
