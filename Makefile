# Each target builds .venv by itself; `install` builds another for the system, DESTDIR and PREFIX as packagers know them.

PYTHON ?= python3
# A service reads no home, so it must not run on an interpreter that lives in one (pyenv, conda).
SERVICE_PYTHON ?= /usr/bin/python3

DESTDIR ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc

LIB := $(PREFIX)/lib/gladys-companion
DOC := $(PREFIX)/share/doc/gladys-companion
BIN := .venv/bin
VENV := .venv/.built
# Its own: what it needs (rich) would be imported by the program's log library too, and be measured as the program's.
LINT := .venv/lint/.built

.PHONY: demo test check bench torture install clean
.DELETE_ON_ERROR:

demo: $(VENV)
	$(BIN)/gladys-companion demo

test: $(VENV)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: $(VENV) $(LINT)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=daemon .venv/lint/bin/lint-imports

bench: $(VENV)
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.commands
	@$(BIN)/python -m bench.pushes
	@$(BIN)/python -m bench.devices
	@$(BIN)/python -m bench.presence
	@$(BIN)/python -m bench.inline
	@$(BIN)/python -m bench.pages
	@$(BIN)/python -m bench.retries

torture: $(VENV)
	$(BIN)/python -m pytest -m torture

$(VENV): pyproject.toml constraints.txt
	@echo "building .venv, which takes a minute the first time" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

$(LINT): $(VENV) constraints.txt
	@$(PYTHON) -m venv .venv/lint
	@.venv/lint/bin/pip install --quiet --constraint constraints.txt import-linter
	@touch $@

# A virtual environment of its own below PREFIX, so that more drivers can be added with its pip. What pip wrote into
# scripts names the place where it ran; what is shipped must name the place where it will run.
install:
	rm -rf '$(DESTDIR)$(LIB)'
	$(SERVICE_PYTHON) -m venv '$(DESTDIR)$(LIB)'
	'$(DESTDIR)$(LIB)/bin/pip' install --quiet --no-compile --constraint constraints.txt '.[all]'
	rm -f '$(DESTDIR)$(LIB)'/lib/python*/site-packages/gladys_companion-*.dist-info/direct_url.json
	grep -rlIZ '$(DESTDIR)$(LIB)' '$(DESTDIR)$(LIB)/bin' '$(DESTDIR)$(LIB)/pyvenv.cfg' \
		| xargs -0 sed -i 's|$(DESTDIR)$(LIB)|$(LIB)|g'
	sed -i '/^command = /d' '$(DESTDIR)$(LIB)/pyvenv.cfg'
	'$(DESTDIR)$(LIB)/bin/python' -m compileall -q -f -j 0 -s '$(DESTDIR)' '$(DESTDIR)$(LIB)/lib'
	install -d '$(DESTDIR)$(PREFIX)/bin'
	ln -sfn ../lib/gladys-companion/bin/gladys-companion '$(DESTDIR)$(PREFIX)/bin/gladys-companion'
	install -d '$(DESTDIR)$(PREFIX)/lib/systemd/system' '$(DESTDIR)$(PREFIX)/lib/sysusers.d' '$(DESTDIR)$(DOC)'
	for unit in gladys-companion.service gladys-companion-gateway.service; do \
		sed 's|/usr/|$(PREFIX)/|g' "systemd/$$unit" >'$(DESTDIR)$(PREFIX)/lib/systemd/system/'"$$unit"; done
	install -m 644 systemd/gladys-companion.sysusers.conf '$(DESTDIR)$(PREFIX)/lib/sysusers.d/gladys-companion.conf'
	install -m 644 README.md CHANGELOG.md LICENSE config.example.toml '$(DESTDIR)$(DOC)'
	find docs -type f -exec install -D -m 644 '{}' '$(DESTDIR)$(DOC)/{}' ';'
ifeq ($(DESTDIR),)
	install -d '$(SYSCONFDIR)/gladys-companion'
	test -e '$(SYSCONFDIR)/gladys-companion/config.toml' \
		|| install -m 644 config.example.toml '$(SYSCONFDIR)/gladys-companion/config.toml'
	@echo "Now: systemd-sysusers && systemctl daemon-reload && systemctl enable --now gladys-companion"
endif

clean:
	rm -rf .venv .cache build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find daemon tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
