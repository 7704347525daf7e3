# One command per chore. Each does its own set-up in .venv and is quick the second time.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: serve test test-fast fuzz check docs bench screens train-adain up clean
.DEFAULT_GOAL := serve

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[all]' --constraint constraints.txt
	touch $@

serve: $(READY)  ## Run embedded Redis, the API and one worker, until Ctrl-C
	$(BIN)/python -m service serve

# Two processes, each with the files, or the browser tests, that share what is slow to start.
PARALLEL := -n 2 --dist loadgroup --no-loadscope-reorder

test: $(READY)  ## All tests; GPU tests run where CUDA is
	$(BIN)/python -m pytest $(PARALLEL) --durations=10

test-fast: $(READY)  ## Within a minute: all that needs no process, no browser and little time
	$(BIN)/python -m pytest $(PARALLEL) -m "not processes and not browser and not slow"

fuzz: $(READY)  ## Send 20,000 broken files to a running service; FUZZ_FILES and FUZZ_SEED choose others
	FUZZ_FILES=$${FUZZ_FILES:-20000} $(BIN)/python -m pytest -s tests/service/http/test_fuzz.py

check: $(READY)  ## What is not a test: lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## The table of fields in docs/api.md, from service/request.py
	$(BIN)/python -m service.http.field_table

bench: $(READY)  ## Measure engine, controls, large images and service, each beside its baseline
	$(BIN)/python -m bench

screens: $(READY)  ## Measure the page in Chromium: its weight and its first output; take screenshots
	$(BIN)/python -m bench studio --screens docs/studio

CONTENT ?= ../shared/data/train/content
STYLE ?= ../shared/data/train/style
VGG ?= vgg16
OUT ?= runs/adain
train-adain: $(READY)  ## Train AdaIN: make train-adain CONTENT=photos STYLE=paintings VGG=vgg16
	$(BIN)/python -m train adain --content $(CONTENT) --style $(STYLE) --vgg $(VGG) --out $(OUT) \
		$(if $(wildcard $(OUT)/state.pt),--resume)

up:  ## Run the containers, on a host with a GPU
	docker compose up --build

clean:  ## Remove the environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
