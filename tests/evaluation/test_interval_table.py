"""Differences with their intervals, for readers in points and for machines whole."""

import json
import math

from devise.evaluation.intervals import IntervalTable
from devise.metrics.summary import Comparison

GAIN = Comparison(0.031, -0.004, 0.0664, 0.08, 200)
NONE = Comparison(math.nan, math.nan, math.nan, math.nan, 0)
TABLE = IntervalTable("What it gains.", ("NDCG", "note"), {"learnt": {"NDCG": GAIN, "note": "as drawn"}}, "by")


def test_readers_see_points_with_their_interval():
    assert TABLE.readable().rows == {"learnt": {"NDCG": "+3.10 (−0.40 to +6.64)", "note": "as drawn"}}
    assert "| learnt | +3.10 (−0.40 to +6.64) | as drawn |" in TABLE.to_markdown(number=2)


def test_json_holds_each_whole_and_null_where_nothing_is():
    table = IntervalTable("What it gains.", ("NDCG",), {"learnt": {"NDCG": GAIN}, "none": {"NDCG": NONE}})
    rows = json.loads(json.dumps(table.to_json(), allow_nan=False))["rows"]
    assert rows[0] == {"name": "learnt", "values": {"NDCG": {"difference": 0.031, "low": -0.004, "high": 0.0664,
                                                             "p": 0.08, "n": 200}}}
    assert rows[1]["values"]["NDCG"] == {"difference": None, "low": None, "high": None, "p": None, "n": 0}
    assert table.readable().rows["none"]["NDCG"] == "–"
