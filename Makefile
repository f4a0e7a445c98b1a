# People and CI call the same targets. Each makes what it needs from a bare checkout: python3 (3.11 or newer) and g++ are enough.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := "$(BIN)/python"

# One at a time may change .venv and build/, however many terminals are at work; $(1) is the purpose, see scripts/prepare.py.
define prepare
	@mkdir -p build
	@flock build/venv.lock "$(PYTHON)" scripts/prepare.py $(1)
endef

.PHONY: help
help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | column -t -s '|'

.PHONY: core
core: ## build the native core of this checkout in place
	$(call prepare,core)
	@mkdir -p build/dev
	@flock build/lock bash -c '\
	  "$(BIN)/cmake" -S . -B build/dev -G Ninja -DPython_EXECUTABLE="$$PWD/$(BIN)/python" -DCMAKE_MAKE_PROGRAM="$$PWD/$(BIN)/ninja" >build/cmake.log 2>&1 || { cat build/cmake.log; exit 1; }; \
	  NINJA_STATUS="core %f/%t " "$(BIN)/ninja" -C build/dev -k 0 --quiet && cp -f build/dev/_core*.so vicino/.new.so && mv -f vicino/.new.so vicino/$$(basename build/dev/_core*.so)'

.PHONY: demo
demo: ## build, fetch the model once, load real products, search them by meaning
	$(call prepare,demo)
	@echo "building the core; a few minutes the first time"
	@$(MAKE) --no-print-directory core >build/core.log 2>&1 || { cat build/core.log; exit 1; }
	@$(RUN) -m vicino models pull minilm
	@$(RUN) examples/demo.py

.PHONY: test
test: ready ## all tests that end within 20 minutes on two cores
	@$(RUN) -m pytest -m "not long" $(ARGS)

.PHONY: test-long
test-long: ready ## the others: minutes to hours
	@$(RUN) -m pytest -m long --timeout 0 $(ARGS)

.PHONY: test-arm
test-arm: ready ## the core's own tests for 64-bit ARM, emulated; needs g++-aarch64-linux-gnu and qemu-user-static
	@"$(BIN)/cmake" -S . -B build/arm -G Ninja -DPython_EXECUTABLE="$$PWD/$(BIN)/python" -DCMAKE_MAKE_PROGRAM="$$PWD/$(BIN)/ninja" \
	  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static >build/arm.log 2>&1 || { cat build/arm.log; exit 1; }
	@NINJA_STATUS="arm %f/%t " "$(BIN)/ninja" -C build/arm --quiet core_tests && qemu-aarch64-static build/arm/core_tests

.PHONY: lint
lint: ready ## ruff and pyright
	@$(RUN) -m ruff check .
	@$(RUN) -m pyright

.PHONY: bench
bench: ready ## a small benchmark of this machine, recall beside speed
	@$(RUN) -m vicino bench

.PHONY: docs
docs: ready ## write the generated pages anew and run every snippet
	@$(RUN) scripts/make_reference.py
	@$(RUN) -m pytest tests/docs

.PHONY: wheel
wheel: ready ## build the wheel as users get it, into dist/
	@$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

.PHONY: ci
ci: lint test ## what every change must pass

.PHONY: ready
ready:
	$(call prepare,test)
	@$(MAKE) --no-print-directory core
