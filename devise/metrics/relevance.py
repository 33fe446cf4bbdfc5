"""Which hits are right answers. Labels are int64, and -1 is no label: it is never right."""

import numpy as np

NO_LABEL = -1


def labels_of(ids, labels):
    """The label of each hit, -1 where there is no hit.

    Args:
        ids: int (q, k), row numbers of `labels`, padded with -1 (plain indexing would take the
            last row for those).
        labels: int (n,).
    Returns:
        int64 (q, k).
    Raises:
        ValueError: if an id is below -1 or is no row of `labels`.

    >>> labels_of(np.array([[1, 0, -1]]), [7, 8])
    array([[ 8,  7, -1]])
    """
    ids, labels = np.asarray(ids), _labels(labels, "labels", 1)
    if ids.size and not (-1 <= ids.min() and ids.max() < len(labels)):
        raise ValueError(f"ids run from {ids.min()} to {ids.max()}: expected rows of the {len(labels)} "
                         "labels, or -1 for no hit")
    return np.append(labels, NO_LABEL)[ids]


def same_label(query_labels, hit_labels):
    """Whether a hit has its query's label.

    Args:
        query_labels: int (q,).
        hit_labels: int (q, k), best rank first.
    Returns:
        bool (q, k).

    >>> same_label([3, -1], [[3, 4], [-1, 3]])
    array([[ True, False],
           [False, False]])
    """
    query_labels, hit_labels = _labels(query_labels, "query_labels", 1), _labels(hit_labels, "hit_labels", 2)
    _same_length(len(query_labels), len(hit_labels))
    return (hit_labels == query_labels[:, None]) & (hit_labels != NO_LABEL)


def any_of(query_tag_sets, hit_labels):
    """Whether a hit's label is one of its query's tags.

    Args:
        query_tag_sets: q sets of labels; one may be empty.
        hit_labels: int (q, k), best rank first.
    Returns:
        bool (q, k).

    >>> any_of([{3, 5}, set()], [[5, 4], [3, 5]])
    array([[ True, False],
           [False, False]])
    """
    hit_labels = _labels(hit_labels, "hit_labels", 2)
    _same_length(len(query_tag_sets), len(hit_labels))
    right = np.zeros(hit_labels.shape, bool)
    for row, tags in enumerate(query_tag_sets):
        right[row] = np.isin(hit_labels[row], list(tags))
    return right & (hit_labels != NO_LABEL)


def count_same_label(query_labels, gallery_labels, *, without_self=False):
    """How many right answers the gallery has for each query, by label.

    Args:
        query_labels: int (q,).
        gallery_labels: int (n,).
        without_self: one less, where every query is itself in the gallery and left out of its hits.
    Returns:
        int64 (q,), 0 for a query without a label.

    >>> count_same_label([3, 4, -1], [3, 3, 4], without_self=True)
    array([1, 0, 0])
    """
    query_labels = _labels(query_labels, "query_labels", 1)
    names, sizes = np.unique(_labels(gallery_labels, "gallery_labels", 1), return_counts=True)
    size_of = dict(zip(names.tolist(), sizes.tolist(), strict=True)) | {NO_LABEL: 0}
    counts = np.array([size_of.get(label, 0) for label in query_labels.tolist()], np.int64)
    return np.maximum(counts - without_self, 0)


def count_any_of(query_tag_sets, gallery_labels):
    """How many members of the gallery have one of the query's tags.

    Args:
        query_tag_sets: q sets of labels.
        gallery_labels: int (n,).
    Returns:
        int64 (q,).

    >>> count_any_of([{3, 5}, set()], [3, 3, 5, 4])
    array([3, 0])
    """
    names, sizes = np.unique(_labels(gallery_labels, "gallery_labels", 1), return_counts=True)
    right = any_of(query_tag_sets, np.broadcast_to(names, (len(query_tag_sets), len(names))))
    return right @ sizes


def _labels(values, name, n_axes):
    values = np.asarray(values)
    if values.ndim != n_axes or (values.size and not np.issubdtype(values.dtype, np.integer)):
        shape = "(n,)" if n_axes == 1 else "(queries, depth)"
        raise ValueError(f"{name} have shape {values.shape} and dtype {values.dtype}: "
                         f"expected whole numbers {shape}")
    return values.astype(np.int64)


def _same_length(n_queries, n_rows):
    if n_queries != n_rows:
        raise ValueError(f"there are {n_queries} queries and {n_rows} rows of hits: expected one row a query")
