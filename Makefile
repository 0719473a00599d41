# A thin face over the console command `report`; `.venv/bin/report --help` says what each verb does.
PYTHON ?= python3
MODEL ?= pocket
# WORKERS=2 draws sections in two processes, EXECUTOR=slurm.py with Parsl's workers.
DRAW = --model $(MODEL) $(if $(WORKERS),--workers $(WORKERS)) $(if $(EXECUTOR),--executor $(EXECUTOR))
REPORT = .venv/bin/report
export TOKENIZERS_PARALLELISM = false

.PHONY: report section verify publish site serve status doctor clean setup setup-dev test check bench bench-gpu
.PHONY: full-size evaluate
.PHONY: pocket pocket-bundle screenshot diagram lock

report: .venv/ready
	$(REPORT) all $(DRAW)

section: .venv/ready
	@test -n "$(S)" || { echo 'make section: say which, as in `make section S=1.8`' >&2; exit 2; }
	$(REPORT) section $(S) $(DRAW)

# All of the page, or S=1.8, or N sections picked by chance.
verify: .venv/ready
	$(REPORT) verify --model $(MODEL) $(if $(S),--section $(S)) $(if $(N),--sample $(N))

# Shows what would go to branch gh-pages of REMOTE (origin); PUSH=1 sends it, WITHOUT=1 also without observations.
publish: .venv/ready
	$(REPORT) publish --model $(MODEL) $(if $(REMOTE),--remote $(REMOTE)) $(if $(PUSH),--push) $(if $(WITHOUT),--without)

site serve status doctor: .venv/ready
	$(REPORT) $@ --model $(MODEL)

clean: .venv/ready
	$(REPORT) clean

# What a report needs; tests, checks and training add more, the first time that one of them is made.
setup: .venv/ready

setup-dev: .venv/ready-dev

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) report/install.py

.venv/ready-dev: .venv/ready requirements-dev.lock
	@$(PYTHON) report/install.py dev

# One process per core, each with whole files, the longest first, so that what the tests of a file share is made once and no
# process waits long for another in the end. One thread each; tests that want two let the second sleep instead of spin, or the
# processes would stop each other.
test: .venv/ready-dev chromium
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE .venv/bin/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadfile \
		--no-loadscope-reorder

# The browser tests drive the system's Chromium. On Debian it is installed where we may; elsewhere the tests say how.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	{ command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	echo 'make test: Chromium is not here and could not be installed; the browser tests will fail until it is' >&2

check: .venv/ready-dev
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	@$(MAKE) --no-print-directory audit wheels
	$(REPORT) site

# Known vulnerabilities of the pinned versions; without the network it says so and goes on.
.PHONY: audit
audit: .venv/ready-dev
	@found=$$(.venv/bin/pip-audit --requirement requirements.lock --requirement requirements-dev.lock --no-deps \
		--disable-pip --timeout 15 --progress-spinner off 2>/dev/null); failed=$$?; \
	if [ "$$failed" = 0 ]; then echo 'pip-audit: no known vulnerabilities'; \
	elif [ -n "$$found" ]; then echo "$$found"; exit 1; \
	else echo 'pip-audit: could not reach the database of vulnerabilities; nothing was audited'; fi

# Whether each pin has a wheel on systems that nobody here has; without the package index it says so and goes on.
.PHONY: wheels
wheels: .venv/ready-dev
	@.venv/bin/python tests/tools/lock.py check

# Prints the table of report/benchmarks.md, or with WRITE=1 puts it there.
bench: .venv/ready
	.venv/bin/python -m generators.bench $(if $(WRITE),--write report/benchmarks.md)

# The same for what only a GPU shows: how weights are loaded, memory formats, the cache of outputs, pocket's pixels.
bench-gpu: .venv/ready
	.venv/bin/python -m generators.bench.gpu $(if $(WRITE),--write report/benchmarks.md)

# DeepFloyd's real path over random weights of the real size (23 GB on disk; it asks first), each phase under a limit of
# memory. KEEP=1 leaves the weights, FOLDER=… says where they go, S="1.3 1.4" what is drawn, WRITE=1 puts the table into
# report/benchmarks.md, YES=1 does not ask.
full-size: MODEL := $(if $(filter pocket,$(MODEL)),deepfloyd,$(MODEL))
full-size: .venv/ready
	.venv/bin/python -m generators.bench.full_size --model $(MODEL) $(if $(FOLDER),--folder $(FOLDER)) \
		$(foreach section,$(S),--section $(section)) $(if $(KEEP),--keep) $(if $(YES),--yes) \
		$(if $(WRITE),--write report/benchmarks.md)

# Draws what the model card's numbers are about, judges it, and writes the card's section.
evaluate: .venv/ready-dev
	.venv/bin/python -m generators.making.evaluation.evaluate
	.venv/bin/python -m generators.making.evaluation.sheet

# The README's picture, of the page as it is built now.
screenshot: .venv/ready-dev
	.venv/bin/python tests/tools/screenshot.py

# The diagram of the rooms in CONTRIBUTING.md.
diagram: .venv/ready-dev
	.venv/bin/python tests/tools/diagram.py

# Trains pocket's next weights: many hours on a CPU, over as many runs as it takes; each goes on where the last one ended.
# A judge takes minutes: `python -m generators.making.judging.train gradients`.
pocket: .venv/ready-dev
	.venv/bin/python -m generators.making.training.stage_1
	.venv/bin/python -m generators.making.training.later_stages stage_2
	.venv/bin/python -m generators.making.training.later_stages stage_3

# What another machine needs to go on with that training: `python -m generators.making.training.bundle train .cache/pocket-bundle`.
pocket-bundle: .venv/ready-dev
	.venv/bin/python -m generators.making.training.bundle pack .cache/pocket-bundle

# Resolves the newest versions that pyproject.toml allows, without installing them, and pins them.
lock: .venv/ready-dev
	.venv/bin/python tests/tools/lock.py write
	.venv/bin/python tests/tools/lock.py check
