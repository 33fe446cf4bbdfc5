"""Whatever is built, added, removed, saved and searched in whatever order: each engine answers as a dict does."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from devise.errors import MissingDependency
from devise.index import engines, load, make
from devise.index.database import Database

DIM = 3
THOROUGH = {"annoy": {"search_k": 10**6, "n_trees": 5}, "faiss": {"n_probes": 10**6}, "hnswlib": {"search_depth": 1000},
            "usearch": {"search_depth": 1000}}
COORDINATES = st.integers(-3, 3)
ROWS = st.lists(st.lists(COORDINATES, min_size=DIM, max_size=DIM).filter(any), min_size=1, max_size=6)
IDS = st.integers(0, 40) | st.integers(2**40, 2**40 + 5)


def unit(row):
    row = np.asarray(row, np.float32).astype(np.float64)
    return row / np.linalg.norm(row)


class Machine(RuleBasedStateMachine):
    """An index and a dict {id: row} beside it."""

    engine = None

    @initialize(rows=ROWS)
    def build(self, rows):
        self.index = make(self.engine, **THOROUGH.get(self.engine, {})).build(rows)
        self.members = dict(enumerate(rows))
        self.folder = Path(tempfile.mkdtemp())

    def teardown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(rows=ROWS, first=IDS)
    def add(self, rows, first):
        ids = [first + place for place in range(len(rows))]
        if taken := set(ids) & set(self.members):
            with pytest.raises(ValueError, match=str(min(taken))):
                self.index.add(rows, ids)
        else:
            self.index.add(rows, ids)
            self.members |= dict(zip(ids, rows, strict=True))

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def remove(self, data):
        ids = data.draw(st.lists(st.sampled_from(sorted(self.members)), min_size=1, max_size=3, unique=True))
        self.index.remove(ids)
        for member in ids:
            del self.members[member]

    @rule(stranger=st.integers(100, 200))
    def remove_a_stranger(self, stranger):
        with pytest.raises(KeyError, match=str(stranger)):
            self.index.remove([stranger, *list(self.members)[:1]])

    @precondition(lambda self: self.members)
    @rule()
    def save_and_load(self):
        self.index.save(self.folder)
        self.index = load(self.folder)

    @precondition(lambda self: self.members)
    @rule(query=st.lists(COORDINATES, min_size=DIM, max_size=DIM).filter(any), k=st.integers(1, 8), data=st.data())
    def search(self, query, k, data):
        without = data.draw(st.sampled_from([-1, *self.members]))
        hits = self.index.search([query], k, exclude=[without])
        scored = sorted((-np.float32(np.clip(unit(row) @ unit(query), -1, 1)), member)
                        for member, row in self.members.items() if member != without)[:k]
        found = hits.ids[0][hits.ids[0] >= 0].tolist()
        assert len(found) == len(scored) and len(set(found)) == len(found)
        np.testing.assert_allclose(hits.scores[0][:len(found)], [-score for score, _ in scored], atol=1e-6)
        # of rows that are told apart by more than rounding the order is fixed, and each score is its row's
        for member, score in zip(found, hits.scores[0], strict=False):
            assert abs(unit(self.members[member]) @ unit(query) - score) < 1e-6

    @invariant()
    def the_members_are_those_of_the_dict(self):
        if hasattr(self, "index"):
            assert self.index.ids.tolist() == sorted(self.members) and len(self.index) == len(self.members)
            if self.members:
                ids = sorted(self.members, reverse=True)
                expected = [unit(self.members[member]) for member in ids]
                np.testing.assert_allclose(self.index.vectors(ids), expected, atol=1e-6)


@pytest.mark.parametrize("engine", engines())
def test_an_index_does_what_a_dict_does(engine):
    try:
        slow = isinstance(make(engine), Database)
    except MissingDependency as error:
        pytest.skip(str(error))
    machine = type(f"Machine{engine.capitalize()}", (Machine,), {"engine": engine})
    case = machine.TestCase
    case.settings = settings(max_examples=6 if slow else 12, stateful_step_count=12, deadline=None,
                             suppress_health_check=[HealthCheck.too_slow])
    case("runTest").runTest()
