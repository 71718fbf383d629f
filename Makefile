# make quickstart, make test: all the set-up is done by itself. See README.md, "Install", for TORCH_SPEC and TORCH_CUDA.
PYTHON ?= python3
VENV ?= .venv
IMAGE_VENV ?= .venv-image
CORE_VENV ?= .venv-core
QUICKSTART_OUT ?= outputs/quickstart
TEST_ARGS ?=

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
	"$(VENV)/bin/python" -m pytest -m "not slow" $(TEST_ARGS)

test-slow: env
	"$(VENV)/bin/python" -m pytest $(TEST_ARGS)

test-core:
	@$(PYTHON) tools/make_env.py "$(CORE_VENV)" --extras test-core --without-torch
	"$(CORE_VENV)/bin/python" -m pytest -m "not slow and not torch and not eval" tests/coderm_slime tests/reward $(TEST_ARGS)

test-image:
	@$(PYTHON) tools/make_env.py "$(IMAGE_VENV)" --extras test --constraint tests/image_constraints.txt
	"$(IMAGE_VENV)/bin/python" -m pytest -m "not slow" tests/coderm_slime tests/reward $(TEST_ARGS)

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
