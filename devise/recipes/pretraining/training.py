"""Images and their captions into one space by a contrastive loss, in NumPy: the text is a sparse bag of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from devise.arrays import eigenvectors
from devise.heads.joint import directions
from devise.model.concepts import WORD, word_weight
from devise.words import WordVectors
from devise.words.phrases import pooled, usable

FEWEST = 3  # training images that a word of the lexicon is said of
TEMPERATURE = 0.07
RATE = 1e-3  # of Adam, after a start of 20 steps down to a hundredth by half a cosine
DECAY = 1.0  # of the image map and the bag, decoupled (Loshchilov and Hutter 2019)
BATCH = 256
MOMENTS = (0.9, 0.999)


@dataclass(frozen=True, eq=False)
class Sentences:
    """Sentences as rows.

    Attributes:
        bags: sparse float32 (n, words of the lexicon), weighted counts as unit rows.
        vectors: float32 (n, dim), the weighted means of word vectors as unit rows; zero where none is known.
        owners: int64 (n,), the image of each.
    """

    bags: sparse.csr_matrix
    vectors: NDArray[np.float32]
    owners: NDArray[np.int64]


def lexicon(captions: Sequence[Sequence[str]]) -> list[str]:
    """The words that are said of three images or more, sorted.

    >>> lexicon([("a dog", "a dog runs")] * 2 + [("a cat",)])
    ['a']
    """
    counts = Counter(word for sentences in captions for word in
                     {word for sentence in sentences for word in WORD.findall(sentence.lower())})
    return sorted(word for word, n in counts.items() if n >= FEWEST)


def sentences(captions: Sequence[Sequence[str]], known: Sequence[str], words: WordVectors) -> Sentences:
    """The captions of images as rows over a lexicon and word vectors."""
    column = {word: place for place, word in enumerate(known)}
    entries, vectors = [], []
    for row, sentence in enumerate(told := [sentence for each in captions for sentence in each]):
        tokens = WORD.findall(sentence.lower())
        entries += [(row, column[token], word_weight(token, words)) for token in tokens if token in column]
        vector = pooled([token for token in tokens if usable(token, words)], words)
        vectors.append(np.zeros(words.dim, np.float32) if vector is None else vector)
    rows, columns, values = zip(*entries, strict=True)
    bags = sparse.csr_matrix((values, (rows, columns)), (len(told), len(known)), dtype=np.float32)
    lengths = np.sqrt(np.asarray(bags.multiply(bags).sum(axis=1)).ravel())
    bags = (sparse.diags(1 / np.maximum(lengths, 1e-6)) @ bags).astype(np.float32).tocsr()
    return Sentences(bags, np.array(vectors, np.float32), np.repeat(np.arange(len(captions)), [*map(len, captions)]))


def train(images: NDArray[np.float32], told: Sentences, dim: int, *, epochs: int, seed: int,
          progress: Callable[[int, int], object] | None = None) -> dict[str, NDArray[np.float32]]:
    """Linear maps of images and sentences, by the symmetric contrastive loss (InfoNCE) with Adam.

    A batch has one sentence each of its images. The image map starts from principal components, the maps of
    the text from a ridge regression onto the images.

    Args:
        images: (n, D).
        told: Sentences; each image has one or more.
        dim: columns of the space.
    Returns:
        {"image": (D, dim), "bag": (words, dim), "vector": (dim of the words, dim)}, float32.
    """
    random = np.random.default_rng(seed)
    maps = _start(images, told, dim)
    order = np.argsort(told.owners, kind="stable")
    counts = np.bincount(told.owners, minlength=len(images))
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    mean, square = ({name: np.zeros_like(weight) for name, weight in maps.items()} for _ in range(2))
    per_epoch = len(images) // min(BATCH, len(images))
    step, steps = 0, epochs * per_epoch
    for epoch in range(epochs):
        shuffled = random.permutation(len(images))
        for rows in np.array_split(shuffled[:per_epoch * min(BATCH, len(images))], per_epoch):
            chosen = order[first[rows] + (random.random(len(rows)) * counts[rows]).astype(int)]
            gradients = _gradients(maps, images[rows], told.bags[chosen], told.vectors[chosen])
            step += 1
            rate = RATE * min(1, step / 20) * (0.99 * (1 + np.cos(np.pi * (step - 1) / steps)) / 2 + 0.01)
            scaled = rate * np.sqrt(1 - MOMENTS[1] ** step) / (1 - MOMENTS[0] ** step)
            for name, gradient in gradients.items():
                mean[name] += (1 - MOMENTS[0]) * (gradient - mean[name])
                square[name] += (1 - MOMENTS[1]) * (gradient ** 2 - square[name])
                maps[name] -= (scaled * mean[name] / (np.sqrt(square[name]) + 1e-8)).astype(np.float32)
                if name != "vector":
                    maps[name] *= np.float32(1 - rate * DECAY)
        if progress:
            progress(epoch + 1, epochs)
    return maps


def _start(images, told, dim):
    _, components = eigenvectors((images.T @ images).astype(np.float64))
    image = components[:, ::-1][:, :dim].astype(np.float32)
    image = np.hstack([image, np.zeros((len(image), dim - image.shape[1]), np.float32)])
    both = sparse.hstack([told.bags, sparse.csr_matrix(told.vectors)]).tocsr()
    gram = (both.T @ both).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += np.trace(gram) / len(gram)
    text = np.linalg.solve(gram, both.T @ directions(images @ image)[told.owners])
    text = (text / np.sqrt(np.square(both @ text).sum(axis=1).mean())).astype(np.float32)
    return {"image": image, "bag": text[:told.bags.shape[1]], "vector": text[told.bags.shape[1]:]}


def _gradients(maps, images, bags, vectors):
    """{name: the loss's gradient} of a batch in which row i of the images belongs to row i of the sentences."""
    sides = [images @ maps["image"], bags @ maps["bag"] + vectors @ maps["vector"]]
    lengths = [np.linalg.norm(side, axis=1, keepdims=True) + 1e-9 for side in sides]
    image, text = (side / length for side, length in zip(sides, lengths, strict=True))
    scores = image @ text.T / TEMPERATURE
    slope = (_softmax(scores) + _softmax(scores.T).T) / 2
    slope[np.diag_indices_from(slope)] -= 1
    slope /= len(slope) * TEMPERATURE
    towards_image, towards_text = slope @ text, slope.T @ image
    towards_image = (towards_image - image * (towards_image * image).sum(axis=1, keepdims=True)) / lengths[0]
    towards_text = (towards_text - text * (towards_text * text).sum(axis=1, keepdims=True)) / lengths[1]
    return {"image": images.T @ towards_image, "bag": bags.T @ towards_text, "vector": vectors.T @ towards_text}


def _softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
