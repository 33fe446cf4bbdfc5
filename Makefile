# make demo    a trained model, the hit@k table, tags and sheets      (results/)
# make test    the suite
# make test-faults  kills, damaged files, full disks and more at full size, and docs/reliability.md (results/faults.jsonl)
# make test-servers  against Milvus' server and pictures in a bucket, each in an environment of its own (results/servers)
# make lint    style by ruff, types by mypy
# make bench   every benchmark, and docs/performance.md from it (results/bench)
# make reference  the API from its docstrings, a warning is an error  (results/reference)
# Each makes its own .venv and installs what it needs.

PYTHON   ?= python3
VENV     ?= .venv
PICTURES ?= samples
RESULTS  := results/hybrid
DEVISE   := $(VENV)/bin/devise

# the small TensorFlow where it exists
ifeq ($(shell uname -sm),Linux x86_64)
export DEVISE_TENSORFLOW ?= tensorflow-cpu
endif

.PHONY: demo test test-faults test-servers bench lint reference clean

demo: $(VENV)/.demo
	$(DEVISE) recipe hybrid -o $(RESULTS)
	$(DEVISE) index $(PICTURES) -o $(RESULTS)/index
	$(DEVISE) search $(RESULTS)/index --text astronaut --text camera --text coffee --text grass --text moon --text retina -k 4 --save $(RESULTS)/photographs.png
	$(DEVISE) tag $(PICTURES) -k 5 --save $(RESULTS)/photograph-tags.png
	@printf '%s\n' '' \
	  'The table is in $(RESULTS)/report.md, the pictures are beside it, the model is in $(RESULTS)/model.' \
	  'Three things to try next:' \
	  '  $(DEVISE) search $(RESULTS)/index --text space' \
	  '  PICTURES=~/pictures make demo' \
	  '  $(DEVISE) train ~/pictures --unseen elephant,lobster -o model'

# a module is compiled once, for all processes and what they start
test: export PYTHONDONTWRITEBYTECODE :=
# each process by one processor: threads of products that wait for others take a twentieth of the time
test: export OPENBLAS_NUM_THREADS := 1
test: export OMP_NUM_THREADS := 1
test: $(VENV)/.test
	$(VENV)/bin/python -m pytest -n 3 --dist worksteal  # on two processors: tests of servers, kills and Ray wait a lot

test-faults: $(VENV)/.test
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[faults]'
	rm -f results/faults.jsonl
	DEVISE_FAULTS=full nice $(VENV)/bin/python -m pytest tests/faults -v -n 2 --dist worksteal
	cat results/faults.jsonl
	$(VENV)/bin/python .ci/measured.py results/faults.jsonl

test-servers: $(VENV)/.test
	.ci/servers $(VENV)/bin/python

bench: $(VENV)/.test
	$(DEVISE) index $(PICTURES) -o results/bench/pictures
	$(DEVISE) bench start -o results/bench/start
	$(DEVISE) bench extract -o results/bench/extract
	$(DEVISE) bench distributed -o results/bench/distributed
	$(DEVISE) bench train -o results/bench/train
	$(DEVISE) bench words -o results/bench/words
	$(DEVISE) bench words -n 400000 -o results/bench/words-400000
	$(DEVISE) bench index -o results/bench/index
	$(DEVISE) bench index -n 1000000 -o results/bench/index-1000000
	$(DEVISE) bench evaluation -n 120000 -o results/bench/evaluation
	$(DEVISE) bench serve --path results/bench/pictures -o results/bench/serve
	$(VENV)/bin/python .ci/measured.py results/bench

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy -p devise

reference: $(VENV)/.test
	$(VENV)/bin/python .ci/reference.py results/reference

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "devise needs Python 3.11 or later: make PYTHON=python3.11"; exit 1; }
	@command -v c++ >/dev/null || \
	  { echo "the annoy index is compiled at install: apt install g++ (macOS: xcode-select --install)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.py | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[annoy,demo]'
	@touch $@

$(VENV)/.test: setup.py | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[annoy,demo,lite,dev]'
	@# keras-hub without tensorflow-text, which would bring the large TensorFlow beside the small one
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'kagglehub!=1.0.1' regex sentencepiece tokenizers
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps keras-hub
	@touch $@
