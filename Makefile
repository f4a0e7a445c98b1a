# People and CI call the same targets; each makes what it needs from a bare checkout.
SHELL := /bin/bash
.DELETE_ON_ERROR:
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: core
core: ## build the native core of this checkout in place
	@mkdir -p build/dev
	@flock build/lock bash -c '\
	  "$(CURDIR)/$(BIN)/cmake" -S . -B build/dev -G Ninja -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja" >build/cmake.log 2>&1 || { cat build/cmake.log; exit 1; }; \
	  "$(CURDIR)/$(BIN)/ninja" -C build/dev -k 0 && cp -f build/dev/_core*.so vicino/.new.so && mv -f vicino/.new.so vicino/$$(basename build/dev/_core*.so)'
