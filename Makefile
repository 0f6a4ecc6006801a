# Each target works as the first command on a fresh clone; scripts/setup brings what is missing.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup up test check bench requirements

ARGS ?=
export OMS_SHARED ?= $(wildcard $(abspath ../shared))
ifeq ($(OMS_SHARED),)
unexport OMS_SHARED
endif

help:
	@echo "make setup   everything this checkout needs, once"
	@echo "make up      start the suite on this machine            (ARGS=\"--port 7071 --tls ...\")"
	@echo "make test    every test, with Azurite and a real browser (ARGS=\"tests/devhost -k timer\")"
	@echo "make check   format, lint, types, layers, the exported requirements, Bicep"
	@echo "make bench   the measured goals, each against its peer"
	@echo "make requirements   export requirements.txt from the lock"

setup:
	@scripts/setup env azurite browser

up:
	@scripts/setup env azurite
	@exec .venv/bin/oms up $(ARGS)

test:
	@scripts/setup env azurite browser
	@OMS_CHROMIUM="$$(<.tools/chromium)" .venv/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

check:
	@scripts/setup env
	@scripts/check

bench:
	@scripts/setup env azurite bench
	@.venv/bin/python -m bench $(ARGS)

requirements:
	@scripts/setup env
	@scripts/requirements > requirements.txt
