# make quickstart, make test: all the set-up is done by itself. See README.md, "Install", for TORCH_SPEC and TORCH_CUDA.
PYTHON ?= python3
VENV ?= .venv
IMAGE_VENV ?= .venv-image
CORE_VENV ?= .venv-core
QUICKSTART_OUT ?= outputs/quickstart
TEST_ARGS ?=
# What depends on the versions of transformers and numpy: chat, scoring, server, rewards.
IMAGE_TESTS = $(addprefix tests/coderm_slime/test_,chat.py hostile_answers.py scoring_client.py scoring_server.py \
	language_server.py prepare.py evaluation.py) $(addprefix tests/reward/test_,coderm_nt.py post_process.py trl.py)
# What runs programs needs no package, hence not a second time either.
NOT_CORE = --ignore=tests/coderm_slime/sandbox --ignore=tests/coderm_slime/testing --ignore=tests/reward/test_faults.py

.PHONY: help env quickstart test test-slow test-core test-image lint format clean
help:
	@echo "make quickstart   a small real reward model on a CPU, end to end; a report (QUICKSTART_PAIRS=20 is quicker)"
	@echo "make test         the test suite (TEST_ARGS='-k chat' picks)"
	@echo "make test-slow    the tests marked slow, too"
	@echo "make test-core    what the core does without torch"
	@echo "make test-image   chat and scoring tests under the slime image's transformers and numpy"
	@echo "make lint         ruff, mypy, shellcheck; make format mends"
	@echo "make clean        remove the environments and outputs/"

env:
	@$(PYTHON) tools/make_env.py "$(VENV)"

quickstart: env
	@PATH="$$(cd "$(VENV)/bin" && pwd):$$PATH" bash examples/quickstart/run.sh "$(QUICKSTART_OUT)"

test: env
	"$(VENV)/bin/python" -m pytest -m "not slow and not gpu" $(TEST_ARGS)

test-slow: env
	"$(VENV)/bin/python" -m pytest -m "not gpu" $(TEST_ARGS)

test-core:
	@$(PYTHON) tools/make_env.py "$(CORE_VENV)" --extras test-core --without-torch
	"$(CORE_VENV)/bin/python" -m pytest -m "not slow and not torch and not eval" tests/coderm_slime tests/reward $(NOT_CORE) $(TEST_ARGS)

test-image:
	@$(PYTHON) tools/make_env.py "$(IMAGE_VENV)" --extras test --constraint tests/image_constraints.txt
	"$(IMAGE_VENV)/bin/python" -m pytest -m "not slow" $(IMAGE_TESTS) $(TEST_ARGS)

lint: env
	"$(VENV)/bin/ruff" check .
	"$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy"
	"$(VENV)/bin/mypy" --config-file pyproject.toml tools/make_env.py
	git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 "$(VENV)/bin/shellcheck"

format: env
	"$(VENV)/bin/ruff" check --fix .
	"$(VENV)/bin/ruff" format .

clean:
	rm -rf "$(VENV)" "$(CORE_VENV)" "$(IMAGE_VENV)" outputs .mypy_cache .pytest_cache .ruff_cache
