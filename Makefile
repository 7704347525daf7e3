# One command per chore. Each does its own set-up in .venv and is quick the second time.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: serve test test-fast fuzz check docs bench screens train-adain sbom up clean
.DEFAULT_GOAL := serve

# What each kind of command needs, and roughly what it fetches on Linux the first time: torch's wheels hold CUDA.
EXTRAS_serve := worker,embedded
EXTRAS_train := worker,embedded,train
EXTRAS_test := all
FETCHES_serve := 2.6 GB
FETCHES_train := 2.7 GB
FETCHES_test := 2.9 GB

# An index with CPU builds of torch, a tenth as large, for machines without an NVIDIA driver. Without it: what pip finds.
TORCH_INDEX ?=
CPU_TORCH := $(if $(TORCH_INDEX),$(if $(wildcard /dev/nvidiactl),,yes))

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/ready-for-%: pyproject.toml stylize_client/pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv what '$*' needs: fetches about $(if $(CPU_TORCH),0.4 GB,$(FETCHES_$*)), once."
	$(if $(CPU_TORCH),$(BIN)/pip install --quiet --index-url $(TORCH_INDEX) --no-deps --constraint constraints.txt torch torchvision)
	$(BIN)/pip install --quiet --editable ./stylize_client --editable '.[$(EXTRAS_$*)]' --constraint constraints.txt
	touch $@

# Whoever tests has what serving and training need.
SERVE := $(or $(wildcard .venv/ready-for-test),.venv/ready-for-serve)
TRAIN := $(or $(wildcard .venv/ready-for-test),.venv/ready-for-train)
TEST := .venv/ready-for-test

serve: $(SERVE)  ## Run embedded Redis, the API and the workers, until Ctrl-C
	$(BIN)/stylize serve

# Two processes, each with the files, or the browser tests, that share what is slow to start.
PARALLEL := -n 2 --dist loadgroup --no-loadscope-reorder

test: $(TEST)  ## All tests; GPU tests run where CUDA is
	$(BIN)/python -m pytest $(PARALLEL) --durations=10

test-fast: $(TEST)  ## Within a minute: all that needs no process, no browser and little time
	$(BIN)/python -m pytest $(PARALLEL) -m "not processes and not browser and not slow"

fuzz: $(TEST)  ## Send 20,000 broken files to a running service; FUZZ_FILES and FUZZ_SEED choose others
	FUZZ_FILES=$${FUZZ_FILES:-20000} $(BIN)/python -m pytest -s tests/service/http/test_fuzz.py

check: $(TEST) docs  ## What is not a test: lint, format, types, and the links of the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(TEST)  ## The table of fields in docs/api.md, from service/request.py, and the site in build/docs
	$(BIN)/python docs/field_table.py
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs . build/docs

sbom: $(TEST)  ## A CycloneDX list of everything installed, in build/sbom.json
	mkdir -p build
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible --output-file build/sbom.json

bench: $(TEST)  ## Measure engine, controls, large images and service, each beside its baseline
	$(BIN)/python -m bench

screens: $(TEST)  ## Measure the page in Chromium: its weight and its first output; take screenshots
	$(BIN)/python -m bench studio --screens docs/studio

CONTENT ?= ../shared/data/train/content
STYLE ?= ../shared/data/train/style
VGG ?= vgg16
OUT ?= runs/adain
train-adain: $(TRAIN)  ## Train AdaIN: make train-adain CONTENT=photos STYLE=paintings VGG=vgg16
	$(BIN)/python -m train adain --content $(CONTENT) --style $(STYLE) --vgg $(VGG) --out $(OUT) \
		$(if $(wildcard $(OUT)/state.pt),--resume)

up:  ## Run the containers, on a host with a GPU
	docker compose up --build

clean:  ## Remove the environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build
