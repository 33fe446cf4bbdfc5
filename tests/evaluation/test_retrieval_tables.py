import numpy as np
import pytest

from devise.evaluation import gallery_table, retrieval_table, retrieve


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    return random.standard_normal((60, 5)), np.append(np.arange(59) % 6, 9)


def test_each_figure_stands_beside_its_ceiling(rows):
    runs = {"raw": retrieve(*rows), "half": retrieve(rows[0][:, :2], rows[1])}
    table = retrieval_table(runs, ks=(1, 10, 1000), nmi={"raw": 0.5, "half": 0.25}, caption="One split.")
    assert table.columns == ("hit@1", "recall@1", "hit@10", "recall@10", "precision@10", "its ceiling, 10",
                             "R-precision", "MAP@R", "NMI")
    means = runs["half"].means()
    assert table.rows["half"] == {
        "hit@1": means["hit_at_k"][1], "recall@1": means["recall_at_k"][1], "hit@10": means["hit_at_k"][10],
        "recall@10": means["recall_at_k"][10], "precision@10": means["precision_at_k"][10],
        "its ceiling, 10": means["ceiling_at_k"][10], "R-precision": means["r_precision"],
        "MAP@R": means["map_at_r"], "NMI": 0.25}
    # five classes of ten and one of nine: of ten places nine or eight can be right
    assert table.rows["raw"]["its ceiling, 10"] == pytest.approx((50 * 0.9 + 9 * 0.8) / 59)
    for part in ("59 pictures", "gallery of 60", "1 pictures without a right answer", "One split.",
                 "Recall@K of metric-learning papers"):
        assert part in table.caption
    assert len(table.to_markdown().splitlines()) == 6


def test_galleries_by_size(rows):
    embeddings, labels = rows
    sizes = {size: retrieve(embeddings, labels, queries=np.arange(6), gallery=np.arange(6, 6 + size), ks=(1,))
             for size in (12, 53)}
    table = gallery_table({"raw": sizes})
    assert table.columns == ("hit@1, gallery 12", "MAP@R, gallery 12", "hit@1, gallery 53", "MAP@R, gallery 53")
    assert table.rows["raw"]["MAP@R, gallery 53"] == sizes[53].means()["map_at_r"]
    assert "6 pictures" in table.caption


def test_what_does_not_belong_in_one_table_is_refused(rows):
    embeddings, labels = rows
    with pytest.raises(ValueError, match="b was measured on other queries"):
        retrieval_table({"a": retrieve(embeddings, labels),
                         "b": retrieve(embeddings, labels, queries=np.arange(60)[::-1])})
    with pytest.raises(ValueError, match="another gallery"):
        retrieval_table({"a": retrieve(embeddings, labels), "b": retrieve(embeddings, labels, gallery=np.arange(50))})
    for nothing in (lambda: retrieval_table({}), lambda: gallery_table({}), lambda: gallery_table({"raw": {}})):
        with pytest.raises(ValueError, match="nothing to print"):
            nothing()
