"""A search as a server asks it: by row, by text, by what was uploaded; from several threads at once."""

import hashlib
import logging
import os
import re
import threading
from dataclasses import replace
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from devise import __version__
from devise.datasets import read_image
from devise.model import naming
from devise.search import select
from devise.storage import is_url, open_artefact, stamp
from devise.web import answers
from devise.web.answers import Refused
from devise.web.batcher import Batcher, Full
from devise.web.limits import Limits, busy
from devise.web.renditions import Recent, Renditions
from devise.web.strength import Strength
from devise.words.phrases import resolve

LOG = logging.getLogger("devise.web")
EXAMPLES = 8
REMEMBERED = 256  # features of uploads, words near a word, words that are none
TAGGED = 4096  # pictures whose tags say what they show
WORD = re.compile(r"[^\W\d_]{2,}")
CAMERAS = set("dcim dsc dscf dscn file image img mvimg photo picture pict pxl scan vid".split())


class Service:
    """The verbs of a `devise.search.Search`, which nobody may change meanwhile, with answers that JSON holds."""

    def __init__(self, search, limits=None, root=""):
        self.search, self.limits, self.root = search, limits or Limits(), root
        self.renditions = Renditions(search, self.limits.cache_bytes, self.limits.picture_bytes)
        self.asks_database = any(part.outside for part in search.indexes.values())
        self._shows = search.rows
        self._listed = replace(search.images, paths=_names(search.images.paths))
        self.can_text = any(search.model.spaces[name].text is not None for name in search.indexes)
        self._version = hashlib.sha256("\0".join(search.images.paths).encode()).hexdigest()[:8]
        self._batcher, self._loading = Batcher(self.backbone), threading.Lock()
        self._features, self._near, self._unknown = Recent(REMEMBERED), Recent(REMEMBERED), Recent(REMEMBERED)
        self._tagged, self._strength = Recent(TAGGED), Strength(search)
        self._warming, self._network, self._closing = threading.Lock(), "loading", False
        self._stamps, self._outdated = self._stamped(), False

    def warm(self):
        """Load the network and the words, so that the first asker does not wait for them."""
        with self._warming:
            if self._network == "ready":
                return
            self._closing = False
            try:
                _ = self.info
                if self.can_text:
                    _ = self._naming
                grey = np.full((64, 64, 3), 128, np.uint8)
                self.computing(self.backbone().prepare(grey)).result()
                self._network = "ready"
            except Exception:
                self._network = "failed"
                raise

    def close(self):
        """End the thread of the network."""
        self._closing = True
        self._batcher.close()

    def backbone(self):
        """The network, loaded once whoever asks first."""
        with self._loading:
            try:
                return self.search.model.backbone
            except Exception:
                if not self._closing:  # then it is no news that a load was broken off
                    LOG.exception("the network can't be loaded")
                raise Refused(503, "no_network", "the network that looks at pictures can't be loaded; the server's "
                              "log says why") from None

    @cached_property
    def info(self):
        """Info."""
        search, model, limits = self.search, self.search.model, self.limits
        asked = {name: model.spaces[name] for name in search.indexes if model.spaces[name].threshold is not None}
        return answers.Info(
            version=__version__, pictures=len(self._shows), classes=len(search.images.label_names),
            spaces=[search.default_space, *(space for space in search.indexes if space != search.default_space)],
            thresholds={name: _finite(space.threshold) for name, space in asked.items()},
            false_accept_rate=next((space.calibration["asked"] for space in asked.values()), None),
            engine=next(iter(search.indexes.values())).engine,
            network=model.network.name, words=self._words_name(), tags=self.can_text,
            examples=self._examples(), indexes=[part.name for part in search.parts] if len(search.parts) > 1 else [],
            limits=answers.Asked(limits.k, limits.text, limits.upload_bytes, limits.upload_pixels, limits.seconds))

    def health(self, reason=None):
        """Health, of why the index does not answer, or None."""
        return answers.Health("unhealthy" if reason else "ok", self._network, reason, self._outdated)

    def probe(self):
        """Why the index does not answer now, or None: its files are looked for, and each space is asked."""
        def ask():
            for part in self.search.parts:
                open_artefact(part.folder, "search")
            for part in self.search.indexes.values():
                part.search(part.vectors(part.ids[:1]), 1)

        try:
            self.asked(ask)
        except Refused as refused:
            return refused.problem.message
        return None

    def asked(self, verb, *args):
        """What a verb answers; a refusal where the index's files or its database are gone."""
        try:
            if self._stamped() != self._stamps and not self._outdated:
                self._outdated = True
                LOG.warning("the index was saved anew: what it was is served until the server is started again")
            return verb(*args)
        except ConnectionError as error:
            LOG.error("%s", error)
            message = "the database of the index does not answer; the server's log says more"
        except OSError as error:
            LOG.error("%s", error)
            message = "the files of the index are no longer where they were, or can't be read: bring them back, or " \
                      "start the server anew"
        raise Refused(503, "no_index", message)

    def _stamped(self):
        """What tells whether the index was saved anew, of each folder that it lies in."""
        return [stamp(part.folder / "search.json") for part in self.search.parts]

    def by_text(self, text, k, also=(), where=None):
        """Found, for words and perhaps pictures of the index."""
        pictures, among = [self.picture(row) for row in also], self._among(where)
        found = self._worded(text, lambda: self.search.by_text(text, k, also=also, where=among))
        return self._found(found, text=text, also=pictures or None)

    def by_row(self, row, k, space=None, where=None):
        """Found, for a picture of the index, which is left out itself."""
        picture = self.picture(row)
        found = self.search.by_image(row, k, space=space, where=self._among(where))
        return self._found(found, picture=picture)

    def by_change(self, row, plus, minus, k, where=None):
        """Found, for a picture of the index that is changed by words."""
        picture, among = self.picture(row), self._among(where)
        for text in (*plus, *minus):  # a wrong one is refused by its name
            self._worded(text, lambda text=text: self.search.model.embed_text(text))
        found = self._worded(" ".join((*plus, *minus)), lambda: self.search.by_change(
            row, k, plus=plus, minus=minus, where=among))
        return self._found(found, picture=picture, plus=list(plus), minus=list(minus))

    def by_features(self, features, k, space=None, where=None):
        """Found, for a picture with these features, see `remembered`."""
        return self._found(self.search.by_image(features, k, space=space, where=self._among(where)))

    def tags(self, picture, k):
        """Tags of a picture of the index, or of features as of `by_features`."""
        if isinstance(picture, int):
            self._check_row(picture)
        if not self.can_text:
            raise Refused(409, "no_words", "this index has no space that it shares with words, so that it has no tags")
        tags = self.search.tag(picture, k, candidates=self._naming)
        return answers.Tags(len(self._naming.names), [answers.Tag(*tag) for tag in tags])

    def by_word(self, word, k):
        """Words near a word or a phrase."""
        found = self._worded(word, lambda: self._near.get((word, k), lambda: self.search.by_word(word, k)))
        return answers.Words([answers.Word(near, float(score)) for near, score in found])

    def similarity(self, first, second, space=None):
        """Similarity of two pictures of the index."""
        self._check_row(first)
        self._check_row(second)
        score = self.search.similarity(first, second, space=space)
        return answers.Similarity(space or self.search.default_space, score)

    def picture(self, row):
        """Picture, of a row."""
        self._check_row(row)
        return answers.Picture(**self._shown([row])[0])

    def sample(self, k, seed):
        """Pictures drawn by a seed, in the order in which they were drawn."""
        rows = np.random.default_rng(seed).permutation(self._shows)[:k].tolist()
        return answers.Pictures(len(self._shows), [answers.Picture(**shown) for shown in self._shown(rows)])

    def prepared(self, content):
        """(digest, what the network sees) of an uploaded file; the second is None where its features are known."""
        digest = hashlib.sha256(content).hexdigest()
        if self._features.peek(digest) is not None:
            return digest, None
        try:
            pixels = read_image(content, max_pixels=self.limits.upload_pixels)
        except ValueError as error:
            reason = str(error).removeprefix("the picture: ").removeprefix("not a picture: ")
            raise Refused(422, "unreadable_picture", f"this can't be read as a picture: {reason}") from None
        return digest, self.backbone().prepare(pixels)

    def computing(self, picture):
        """The Future of the features of a prepared picture."""
        try:
            return self._batcher.submit(picture)
        except Full:
            raise busy() from None

    def remembered(self, digest, features=None):
        """The features of an upload: those known under its digest, else these, which are kept from now on."""
        def given():
            if features is None:  # known a moment ago, pushed out by others since
                raise busy()
            return features

        held = self._features.get(digest, given)
        if not held.any():
            raise Refused(422, "empty_picture", "the network sees nothing in this picture: its features are all zero")
        return held

    def _found(self, results, **query):
        """Found, of Results."""
        scores = [match.score for match in results.matches]
        meant = self._strength.words(scores, threshold=results.threshold, space=results.space, query=results.vector)
        matches = [answers.Match(**shown, score=score, strength=strength) for shown, score, strength in zip(
            self._shown([match.row for match in results.matches]), scores, meant, strict=True)]
        among = results.among
        about = {} if among is None else {"where": among.where, "selected": len(among.rows), "lacking": among.lacking}
        return answers.Found(results.space, len(self._shows), matches, _finite(results.threshold), results.known,
                             **query, **about)

    def _among(self, where):
        """The pictures for which a condition holds; None without one."""
        if where is None or not where.strip():
            return None
        try:
            return select(where, self._listed, self.search.metadata)
        except ValueError as error:
            raise Refused(422, "wrong_condition", str(error)) from None

    def _shown(self, rows):
        """The fields of a Picture for each row."""
        names = [self._listed.paths[row] for row in rows]
        return [{"id": row, "label": self.search.images.label_of(row), "name": name, "alt": alt,
                 "image": f"{self.root}/api/pictures/{row}/image?v={self._version}", "index": self.search.part_of(row)}
                for row, name, alt in zip(rows, names, self._alts(rows, names), strict=True)]

    def _alts(self, rows, names):
        """What each picture shows, in words: its class, else its name's words, else its tags."""
        said = [(self.search.images.label_of(row) or "").replace("_", " ") or _words_of(name)
                for row, name in zip(rows, names, strict=True)]
        mute = [row for row, text in zip(rows, said, strict=True) if not text and self._tagged.peek(row) is None]
        if mute and self.can_text:
            vectors = self.search.indexes[self.search.text_space()].vectors(mute)
            for row, tags in zip(mute, self._naming.tag(vectors, 2), strict=True):
                self._tagged.get(row, lambda tags=tags: " or ".join(tag.name for tag in tags if not tag.weak))
        return [text or (f"perhaps {tags}" if (tags := self._tagged.peek(row)) else "a picture")
                for row, text in zip(rows, said, strict=True)]

    @cached_property
    def _naming(self):
        """The names that a picture may be given, made once."""
        return naming(self.search.model, space=self.search.text_space())

    def _words_name(self):
        words = self.search.model.words_record if self.can_text else None
        return words and f"{words['n']:,} words of {words['name']}"

    def _examples(self):
        """Texts worth trying: classes that are words, or else the first tags of some pictures."""
        if not self.can_text:
            return []
        words, names = self.search.model.words, self.search.images.label_names
        known = [name.replace("_", " ").lower() for name in names if not resolve(name, words).failed]
        if not known:
            rows = np.random.default_rng(0).permutation(self._shows)[:3 * EXAMPLES]
            known = list(dict.fromkeys(tag.name for row in rows for tag in self.tags(int(row), 1).tags))
        step = max(1, len(known) // EXAMPLES)
        return known[::step][:EXAMPLES]

    def _worded(self, text, ask):
        """What `ask` gives for a text; words that are none are remembered, since looking for near ones takes long."""
        if not self.can_text:
            raise Refused(409, "no_words", "this index has no space that it shares with words: ask by a picture")
        if known := self._unknown.peek(text):
            raise Refused(*known)
        try:
            return ask()
        except KeyError as error:
            near = _respelt(text, self.search.model.words)
            refusal = (404, "unknown_word", str(error.args[0]), near)
            raise Refused(*self._unknown.get(text, lambda: refusal)) from None
        except ValueError as error:
            raise Refused(422, "no_words", str(error)) from None

    def _check_row(self, row):
        if row not in self.search.indexes[self.search.default_space]:
            raise Refused(404, "unknown_picture", f"there is no picture {row}: the index has {len(self._shows):,}, "
                          "from 0")


def _words_of(name):
    """The words of a file's name, "hubble Deep field" of hubbleDeep_field-2.jpg; "" where a camera gave it."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", PurePosixPath(name).stem)
    words = WORD.findall(stem)
    return "" if all(word.lower() in CAMERAS for word in words) else " ".join(words)


def _names(paths):
    """Paths as the page shows them, and as conditions know them: behind what all of them begin with that lie behind
    URLs; of one from elsewhere than the index's folder its file's name, since the whole path is nobody's business.

    >>> _names(["cat/1.jpg", "/home/ada/2.jpg"]), _names(["s3://bucket/cat/1.jpg", "s3://bucket/2.jpg"])
    (('cat/1.jpg', '2.jpg'), ('cat/1.jpg', '2.jpg'))
    """
    start = os.path.commonprefix(paths)
    names = (path[start.rindex("/") + 1:] if is_url(start) else path for path in paths)
    return tuple(PurePosixPath(name).name if name.startswith("/") or is_url(name) else name for name in names)


def _respelt(text, words):
    """A text with its unknown words replaced by near spellings, three at most."""
    failed = resolve(text, words).failed
    found = [text] if failed else []
    for word in failed[:3]:
        near = words.near_spellings(word)
        found = [one.replace(word, other) for one in found for other in near][:3]
    return found


def _finite(value):
    """A threshold as JSON has it; one that lets all in is null."""
    return float(value) if value is not None and np.isfinite(value) else None
