"""The model that comes with devise, made from features, captions, WordNet and word vectors; in NumPy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import softmax

from devise.arrays import eigenvectors, pack
from devise.backbones import imagenet
from devise.features import FeatureTable
from devise.heads import JointHead
from devise.heads.base import probabilities
from devise.heads.joint import directions, map_inputs
from devise.model import ConceptText, Devise, Space
from devise.model.concepts import STOP, WORD, as_lines, singular, word_weight
from devise.model.sources import Network, Words
from devise.recipes.pretrained.names import Nouns, Vocabulary, kinds, similarities, vocabulary
from devise.words import WordVectors, synset_vectors
from devise.words.phrases import pooled, usable

DIM = 384  # of the half that captions teach
NEAR = 16  # classes that speak for a name
SHARP, BESIDE = 20.0, 0.3  # of the classes' weights; of the near classes beside a name's own kinds
TERM_IMAGES = 6  # training images that a term of one word is said of, twice as many for one of two
OBJECT = 0.5  # weight of a picture of an object, of which nobody says anything but its name
BACKGROUND = (400, 200)  # training images and pictures of objects that scores are measured against
ANY_NAME, RARE_NAME = 0.6, 0.15  # how far classes are believed in a wider name that captions don't use
BEYOND = 0.3  # and in a thing that has no class
FREQUENT = 30_000
RELIABLE = 0.3  # correlation from which on a term of captions is believed fully
FEWEST = 3  # training images that a word of the lexicon is said of
TEMPERATURE = 0.07
RATE = 1e-3  # of Adam, after a start of 20 steps down to a hundredth by half a cosine
DECAY = 1.0  # of the image map and the bag, decoupled (Loshchilov and Hutter 2019)
BATCH = 256
MOMENTS = (0.9, 0.999)


class Lesson(NamedTuple):
    """Images with their features and captions.

    Attributes:
        features: float32 (n, dim).
        captions: (n,) tuples of sentences.
    """

    features: NDArray[np.float32]
    captions: Sequence[Sequence[str]]


def make(train_part: Lesson, dev_part: Lesson, objects: FeatureTable, classifier: tuple[NDArray, NDArray],
         words: Words, nouns: Nouns, *, backbone: dict, epochs: int, seed: int,
         progress: Callable[[int, int], object] | None = None) -> Devise:
    """The model: head and text side, without thresholds, which `devise.recipes.pretrained.measuring.limits` chooses.

    Args:
        train_part, dev_part: everyday images; on the second one only is seen how reliable terms are.
        objects: pictures of one thing each, labelled.
        classifier: kernel (dim, C) and bias (C,) behind the features.
        backbone: the record of the network.
        epochs, seed: of the training.
        progress: called as progress(done, total) in epochs.
    """
    kernel = pack(classifier[0].T)
    bias = np.asarray(classifier[1], np.float32)
    roots = np.sqrt(probabilities(train_part.features @ kernel.unpacked().T + bias))
    means = {"feature_mean": directions(np.sqrt(np.maximum(train_part.features, 0))).mean(axis=0).astype(np.float16),
             "class_mean": roots.mean(axis=0).astype(np.float16)}
    given = map_inputs(train_part.features, roots, *(mean.astype(np.float32) for mean in means.values()))
    known = lexicon(train_part.captions)
    maps = train(given.astype(np.float32), sentences(train_part.captions, known, words.vectors), DIM, epochs=epochs,
                 seed=seed, progress=progress)
    learnt, bag = pack(maps["image"]), pack(maps["bag"])
    head = JointHead({"kernel": kernel.rows, "kernel_scale": kernel.scale, "bias": bias, **means, "map": learnt.rows,
                      "map_scale": learnt.scale})
    found = vocabulary(nouns)
    names = dict(zip(found.names, range(len(found.names)), strict=True)) | found.aliases
    shown = np.asarray(objects.matrix, np.float32)
    labels = [objects.images.label_of(row) for row in range(len(shown))]
    terms = _terms(head, train_part, dev_part, shown, labels, names)
    random = np.random.default_rng(seed)
    background = np.concatenate([part[random.choice(len(part), min(n, len(part)), replace=False)] for part, n in
                                 zip((train_part.features, shown), BACKGROUND, strict=True)])
    packed = pack(head.embed(background))
    reliability = terms.pop("reliability")
    text = ConceptText(words, {
        **terms, **_concepts(nouns, found, terms, reliability), "lexicon": as_lines(known), "bag": bag.rows,
        "bag_scale": bag.scale, "word_map": maps["vector"].astype(np.float16),
        "class_vectors": synset_vectors(imagenet.identities(), words.vectors).astype(np.float16),
        "background": packed.rows, "background_scale": packed.scale, "term_reliability": reliability,
        "rates": np.array([0.01]), "limits": np.array([0.0]), "tag_threshold": np.zeros(1, np.float32)})
    network = Network().required(backbone, "it")
    return Devise(network, words, {"shared": Space(head, text)}, record={"pretrained": "everyday", "seed": seed,
                                                                         "epochs": epochs})


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
    """The words that are said of three images or more, sorted."""
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
    slope = (softmax(scores, axis=1) + softmax(scores, axis=0)) / 2
    slope[np.diag_indices_from(slope)] -= 1
    slope /= len(slope) * TEMPERATURE
    towards_image, towards_text = slope @ text, slope.T @ image
    towards_image = (towards_image - image * (towards_image * image).sum(axis=1, keepdims=True)) / lengths[0]
    towards_text = (towards_text - text * (towards_text * text).sum(axis=1, keepdims=True)) / lengths[1]
    return {"image": images.T @ towards_image, "bag": bags.T @ towards_text, "vector": vectors.T @ towards_text}


def terms_of(sentence: str, names: Mapping[str, int]) -> set[str]:
    """The words of a sentence and its pairs of neighbours, without stop words, plurals as singulars."""
    tokens = [singular(token, names) for token in WORD.findall(sentence.lower())]
    pairs = zip(tokens, tokens[1:], strict=False)
    return set(tokens) - STOP | {f"{one} {two}" for one, two in pairs if STOP.isdisjoint({one, two})}


def shares(captions: Sequence[Sequence[str]], names: Mapping[str, int]) -> list[dict[str, float]]:
    """Of each image {term: the share of its captions that have it}."""
    counted = [Counter(term for sentence in each for term in terms_of(sentence, names)) for each in captions]
    return [{term: n / len(each) for term, n in counts.items()} for counts, each in zip(counted, captions, strict=True)]


def _terms(head, train_part, dev_part, shown, labels, names):
    """Ridge regressions from the second half of the space to the shares of captions with a term, and what they are
    worth; pictures of objects keep "dog" and "man" off a plain background."""
    told = [shares(part.captions, names) for part in (train_part, dev_part)]
    images = Counter(term for each in told[0] for term in each)
    terms = sorted(term for term, n in images.items() if n >= TERM_IMAGES * (1 + (" " in term)))
    column = {term: place for place, term in enumerate(terms)}
    halves = [np.sqrt(2) * head.embed(rows)[:, head.classes:]
              for rows in (train_part.features, dev_part.features, shown)]
    truth = [_matrix(each, column) for each in (*told, [{label: 1.0} for label in labels])]
    weights = np.concatenate([np.ones(len(halves[0])), np.full(len(shown), OBJECT)])[:, None]
    x, y = (np.concatenate([part[0], part[2]]).astype(np.float64) for part in (halves, truth))
    mean, usual = ((weights * each).sum(axis=0) / weights.sum() for each in (x, y))
    x, y = (x - mean) * np.sqrt(weights), (y - usual) * np.sqrt(weights)
    gram = x.T @ x
    probes = np.linalg.solve(gram + np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ y).T
    guessed = np.clip(usual + (halves[1] - mean) @ probes.T, 0, 1)
    known = (truth[1] > 0).sum(axis=0)
    worth = np.clip(_correlations(truth[1], guessed) * known / (known + 3), 0, 1)
    packed = pack(probes)
    return {"terms": as_lines(terms), "probes": packed.rows, "probes_scale": packed.scale,
            "probe_mean": mean.astype(np.float16), "term_shares": usual.astype(np.float16),
            "term_images": np.array([images[term] for term in terms], np.int32),
            "reliability": np.clip(worth / RELIABLE, 0, 1).astype(np.float16)}


def _matrix(told, column):
    rows = np.zeros((len(told), len(column)), np.float32)
    for row, each in enumerate(told):
        for term, share in each.items():
            if term in column:
                rows[row, column[term]] = share
    return rows


def _correlations(one, two):
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    return (one * two).sum(axis=0) / np.sqrt(np.square(one).sum(axis=0) * np.square(two).sum(axis=0) + 1e-9)


def _concepts(nouns: Nouns, found: Vocabulary, terms, reliability):
    """What is known of each name: its kinds among the classes, those near to it, its term, how far to believe each."""
    own, alike = kinds(nouns, found), similarities(nouns, found.synsets)
    exact, best = np.any(own, axis=1), alike.max(axis=1)
    near = np.exp(SHARP * (alike - best[:, None]))
    near = directions(np.where(near >= np.partition(near, -NEAR, axis=1)[:, -NEAR:][:, :1], near, 0))
    near = np.where(exact[:, None], directions(own.astype(np.float32)) + BESIDE * near, near)
    classes = np.argsort(-near, axis=1, kind="stable")[:, :NEAR]
    weights = np.take_along_axis(near, classes, axis=1)
    rows, columns = np.nonzero(own)
    column = {term: place for place, term in enumerate(terms["terms"].tobytes().decode().split("\n"))}
    name_terms = np.array([column.get(name, -1) for name in found.names])
    return {"names": as_lines(found.names), "aliases": as_lines(list(found.aliases)),
            "alias_rows": np.array(list(found.aliases.values()), np.int32), "exact": exact,
            "near": classes.astype(np.uint16),
            "near_weights": np.round(127 * weights / weights.max(axis=1, keepdims=True)).astype(np.int8),
            "kinds": columns.astype(np.uint16),
            "kinds_starts": np.searchsorted(rows, np.arange(len(own) + 1)).astype(np.int32),
            "gate": _gate(nouns, found, exact, best, name_terms >= 0).astype(np.float16),
            "name_terms": name_terms.astype(np.int16),
            "trust": np.where(name_terms >= 0, reliability[name_terms], 0).astype(np.float16)}


def _gate(nouns, found, exact, best, said):
    """How far the classifier is believed, 0 to 1: fully in its own classes, less in wider and in rarer names."""
    information = np.array([nouns.information[identity] for identity in found.synsets])
    rank = np.array([nouns.rank(name) for name in found.names])
    simple = (rank < FREQUENT) & np.array([" " not in name for name in found.names])
    wide = np.clip((information - 0.3) / 0.3, 0, 1) * np.where(said, 1, np.where(simple, ANY_NAME, RARE_NAME))
    own = np.isin(found.synsets, imagenet.identities())
    person = np.array([nouns.details[identity].field == "person" for identity in found.synsets])
    usual = np.clip(1 - np.log10(np.maximum(rank, 1000) / 1000) / 3, 0.1, 1)
    return np.where(exact, np.where(own, 1, wide), BEYOND * usual * best ** 2 * np.where(person, 0.3, 1))
