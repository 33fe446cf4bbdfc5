"""Unit rows, cosines, the best k of them, eigenvectors: the arithmetic under every other room."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import sys
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from threadpoolctl import threadpool_limits

Rows = NDArray[Any] | Sequence[Any]  # (n, …), an array or nested lists: what has a length and is read row by row
BLOCK_BYTES = 64 * 2**20  # one block of scores; bounds memory whatever the number of queries
SCRATCH_BYTES = 2**28  # of an array that is filled; from there on it lies in a file
NEAR = 1e-6  # cosines closer than this may be in the wrong order in float32
GROUP = 16  # columns in a group of `_few_candidates`; 8 to 64 are as fast
_ALONE = threading.Lock()  # the threads of BLAS are the process's: two that limit them would restore the limit
MOST_CANDIDATES = 32  # times k; more are sorted slower than partitioned


def as_rows(values: ArrayLike, name: str = "vectors", dim: int | None = None) -> NDArray[np.float32]:
    """`values` as a C-contiguous float32 matrix with finite entries, of `dim` columns if given; errors call it `name`.

    >>> as_rows([[1, 2]]).dtype
    dtype('float32')
    """
    rows = np.ascontiguousarray(values, dtype=np.float32)
    if rows.ndim != 2:
        raise ValueError(f"{name} have shape {rows.shape}: expected (n, dim), one row a vector")
    if dim is not None and rows.shape[1] != dim:
        raise ValueError(f"{name} have {rows.shape[1]} columns, expected {dim}")
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        raise ValueError(f"{name} hold NaN or infinity in {bad.size} rows, the first is row {bad[0]}")
    return rows


def unit_rows(values: ArrayLike, name: str = "vectors", dim: int | None = None) -> NDArray[np.float32]:
    """Each row of (n, d) divided by its length, x / |x|, float32; refuses zero rows, which have no direction.

    >>> unit_rows([[3, 4]])
    array([[0.6, 0.8]], dtype=float32)
    """
    rows = as_rows(values, name, dim)
    # float64 lengths: the squares of large or tiny float32 entries leave float32's range
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))[:, None]
    zero = np.flatnonzero(lengths == 0)
    if zero.size:
        raise ValueError(f"{name} hold {zero.size} zero rows, the first is row {zero[0]}: "
                         "a zero vector has no direction, leave it out")
    # into float32 at once: a float64 quotient would hold the matrix twice more
    return np.divide(rows, lengths, out=np.empty_like(rows), casting="same_kind")


class Packed(NamedTuple):
    """Rows as int8 with a scale each, row i stands for scale[i] · rows[i]: a quarter of the room of float32.

    >>> pack([[0.5, -1.0]]).rows
    array([[  64, -127]], dtype=int8)
    """

    rows: NDArray[np.int8]
    scale: NDArray[np.float32]

    def unpacked(self) -> NDArray[np.float32]:
        """The rows as float32 (n, d)."""
        return self.rows.astype(np.float32) * self.scale[:, None].astype(np.float32)


def pack(rows: ArrayLike) -> Packed:
    """Rows (n, d) rounded to 127 steps of their largest entry.

    >>> pack(np.eye(2)).unpacked()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    rows = np.asarray(rows, np.float32)
    scale = np.abs(rows).max(axis=1) / 127 + np.finfo(np.float32).tiny
    return Packed(np.round(rows / scale[:, None]).astype(np.int8), scale.astype(np.float32))


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of each pair of unit rows, summed in float64 and rounded to float32.

    It hangs on the two rows alone, where a matrix product adds up in an order that changes with its shape.
    Either side may be a single row.

    >>> cosines(np.eye(2, dtype=np.float32), np.array([0.6, 0.8], np.float32))
    array([0.6, 0.8], dtype=float32)
    """
    return np.clip((left.astype(np.float64) * right).sum(axis=1), -1, 1).astype(np.float32)


def read_npy(path: str | Path, dtype: DTypeLike, shape: Sequence[int | None], *, mapped: bool = False) -> NDArray[Any]:
    """The array in a `.npy` file, of this type and shape, None for any number; mapped it is left on disk, read-only.

    Raises:
        ValueError: if it is another array, holds Python objects, or is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/rows.npy", np.eye(2, dtype=np.float32))
    ...     read_npy(f"{folder}/rows.npy", np.float32, (None, 2)).shape
    (2, 2)
    """
    try:
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise ValueError(f"{path} is damaged or no array ({error})") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{path} is an archive: expected one array")
    fits = array.ndim == len(shape) and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    if array.dtype != dtype or not fits:
        raise ValueError(f"{path} holds {array.dtype} {array.shape}: expected {np.dtype(dtype)} "
                         f"({', '.join('any' if want is None else str(want) for want in shape)})")
    return array


def read_rows(array: NDArray[Any], start: int, stop: int) -> NDArray[np.float32]:
    """Rows of an array as float32; of a mapped one the pages are let go, so that reading it all holds a block of it.

    >>> read_rows(np.eye(3), 1, 2)
    array([[0., 1., 0.]], dtype=float32)
    """
    rows = np.array(array[start:stop], np.float32)
    let_go(array)
    return rows


def let_go(array: NDArray[Any]) -> None:
    """Let the pages of a mapped array go; they come again from the disk when they are used.

    >>> let_go(np.eye(3))  # which has none
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and sys.platform == "linux":
        base.madvise(mmap.MADV_DONTNEED)


def write_npy(path: str | Path, array: ArrayLike) -> None:
    """`array` as a `.npy` file; NumPy's own `save` is silent where a full disk takes a part of a small one.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npy(f"{folder}/rows.npy", np.eye(2))
    ...     np.load(f"{folder}/rows.npy").shape
    (2, 2)
    """
    array = np.ascontiguousarray(array)
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        values, step = array.reshape(-1), max(1, BLOCK_BYTES // array.itemsize)
        for start in range(0, len(values), step):
            file.write(values[start:start + step].data)
            let_go(array)


def scratch(folder: str | Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A float32 array to be filled; a large one lies in a file without a name, so that it need not fit into memory.

    Where the disk of `folder` has no room for it the array is in memory.

    >>> scratch("/tmp", (3, 2)).shape
    (3, 2)
    """
    size = 4 * math.prod(shape)
    if size >= SCRATCH_BYTES and sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=str(folder)) as file:
                os.posix_fallocate(file.fileno(), 0, size)  # to run out of room in a mapped file ends the process
                return np.memmap(file, np.float32, "r+", shape=shape).view(np.ndarray)
    return np.empty(shape, np.float32)


def read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays in a `.npz` file, by name; only one whose members are as large as they claim is read.

    Raises:
        ValueError: if it is compressed, holds Python objects, or is damaged.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/arrays.npz", rows=np.eye(2))
    ...     list(read_npz(f"{folder}/arrays.npz"))
    ['rows']
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("it is compressed, and could be of any size")
        with np.load(path, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved.files}
    except OSError:
        raise
    except Exception as error:  # damaged bytes make a zip reader raise nearly anything
        raise ValueError(f"{path} can't be read as arrays ({error}): it is damaged or something else") from error


def top_k(scores: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Columns int64 (n, k) and scores (n, k) of the k largest of each row, best first; ties go to the smaller column.

    >>> top_k(np.array([[0.1, 0.9, 0.5]]), 2)[0]
    array([[1, 2]])
    """
    n_columns = scores.shape[1]
    if not 1 <= k <= n_columns:
        raise ValueError(f"k is {k}: expected 1 to {n_columns}, the number of candidates")
    found = _few_candidates(scores, k) if k * GROUP < n_columns else None
    if found is not None:
        return found
    if k < n_columns:
        # the k-th score is a threshold: every column above it and, of its ties, the smallest
        threshold = -np.partition(-scores, k - 1, axis=1)[:, k - 1:k]
        above, ties = scores > threshold, scores == threshold
        room = k - above.sum(axis=1, keepdims=True)
        keep = above | (ties & (ties.cumsum(axis=1) <= room))
        columns = np.nonzero(keep)[1].reshape(-1, k)
    else:
        columns = np.broadcast_to(np.arange(n_columns), scores.shape)
    kept = np.take_along_axis(scores, columns, axis=1)
    order = np.argsort(-kept, axis=1, kind="stable")
    return (np.take_along_axis(columns, order, axis=1).astype(np.int64),
            np.take_along_axis(kept, order, axis=1))


def _few_candidates(scores, k):
    """What `top_k` returns, ten times as fast for k far below m; None where ties make too many candidates.

    The columns fall into groups. The k-th largest of the groups' best scores has k scores at or above
    it, so that nothing below it can be among the k.
    """
    n_rows, n_columns = scores.shape
    groups = n_columns // GROUP
    best = scores[:, :GROUP * groups].reshape(n_rows, GROUP, groups).max(axis=1)
    floor = np.partition(best, groups - k, axis=1)[:, groups - k, None]
    rows, columns = np.divmod(np.flatnonzero(scores >= floor), n_columns)
    counts = np.bincount(rows, minlength=n_rows)
    if not n_rows or counts.min() < k or len(rows) > MOST_CANDIDATES * k * n_rows:  # < k where scores are NaN
        return None
    values = scores[rows, columns]
    order = np.lexsort((columns, -values, rows))
    first = np.cumsum(counts) - counts
    chosen = order[first[:, None] + np.arange(k)]
    return columns[chosen], values[chosen]


def nearest(queries: NDArray[np.float32], rows: NDArray[np.float32], k: int, *,
            without: NDArray[np.int64] | None = None, block_bytes: int = BLOCK_BYTES
            ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k rows with the largest inner product with each query, in bounded memory.

    On unit rows that is the cosine. The (queries × rows) matrix is never held whole.

    Args:
        queries: float32 (q, d).
        rows: float32 (n, d), may be memory-mapped.
        without: rows that come behind all others, with a score of -inf; None for none.
    Returns:
        ids int64 (q, k) and scores float32 (q, k), best first, ties to the smaller id.

    >>> nearest(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), k=1)[0].ravel()
    array([0, 1])
    """
    if not 1 <= k <= len(rows):
        raise ValueError(f"k is {k}: expected 1 to {len(rows)}, the number of candidates")
    block, parts = max(1, block_bytes // (4 * max(1, len(rows)))), []
    for start in range(0, len(queries), block):
        scores = queries[start:start + block] @ rows.T
        if without is not None:
            scores[:, without] = -np.inf
        parts.append(top_k(scores, k))
    if not parts:
        return np.empty((0, k), np.int64), np.empty((0, k), np.float32)
    return np.concatenate([ids for ids, _ in parts]), np.concatenate([scores for _, scores in parts])


def eigenvectors(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues and eigenvectors of a symmetric matrix, by one thread.

    It is made of thousands of short steps. With a thread a processor these wait for one another, which
    gains little and takes twenty times as long where another process has one of two processors.

    >>> values, vectors = eigenvectors(np.array([[3.0, 0.0], [0.0, 1.0]]))
    >>> values.tolist(), np.abs(vectors).tolist()
    ([1.0, 3.0], [[0.0, 1.0], [1.0, 0.0]])
    """
    with _ALONE, threadpool_limits(1, user_api="blas"):
        return np.linalg.eigh(matrix)
