"""What the API answers, by field, and what it refuses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """A picture of the index: its id, class if it has one, file name, and where a small copy is had.

    `alt` says in words what it shows: its class, else the words of its file's name, else its first tags.
    `index` is the one that it is from, where several are served as one.
    """

    id: int
    label: str | None
    name: str
    alt: str
    image: str
    index: str | None


@dataclass(frozen=True)
class Match(Picture):
    """A picture that was found, and its cosine with the query, in [-1, 1].

    `strength` is what the score means for this query, "strong", "fair" or "weak". Where there is a threshold, scores
    from it on are strong and others weak; else strong ones stand out from the other pictures of the index.
    """

    score: float
    strength: str


@dataclass(frozen=True)
class Found:
    """What a query found, best first.

    `space` is where it was compared. Where the model has a threshold there, `known` says whether the best
    score reaches it: if not, the index has no match, and the pictures are merely the nearest. `picture` is
    the query where it is one of the index, `plus` and `minus` are the words it was changed by, `also` the further
    pictures of the question. Where there was a condition, `where` is that, `selected` counts the pictures for which
    it holds, and `lacking` says of how many pictures a field of it is not known.
    """

    space: str
    total: int
    matches: list[Match]
    threshold: float | None
    known: bool | None
    text: str | None = None
    picture: Picture | None = None
    plus: list[str] | None = None
    minus: list[str] | None = None
    also: list[Picture] | None = None
    where: str | None = None
    selected: int | None = None
    lacking: dict[str, int] | None = None


@dataclass(frozen=True)
class Tag:
    """A name for a picture, its score (a cosine, or of concepts how sure it is), and whether that is too low."""

    name: str
    score: float
    weak: bool


@dataclass(frozen=True)
class Tags:
    """Names for a picture, best first, out of so many candidates."""

    candidates: int
    tags: list[Tag]


@dataclass(frozen=True)
class Word:
    """A word, and its cosine with the word that was asked."""

    word: str
    score: float


@dataclass(frozen=True)
class Words:
    """The words nearest to a word, best first."""

    words: list[Word]


@dataclass(frozen=True)
class Similarity:
    """The cosine of two pictures of the index, and the space in which it was taken."""

    space: str
    score: float


@dataclass(frozen=True)
class Pictures:
    """Some pictures of the index, and how many it has."""

    total: int
    pictures: list[Picture]


@dataclass(frozen=True)
class Asked:
    """How much may be asked at once."""

    k: int
    text: int
    upload_bytes: int
    upload_pixels: int
    seconds: float


@dataclass(frozen=True)
class Info:
    """What the index is: pictures, classes, spaces (the first is the default), network, words, limits.

    `words` is null where the index has no space that it shares with words; then there are no tags
    either. `examples` are texts worth trying. `false_accept_rate` is what the thresholds are for. `indexes`
    are the names of those that are served as one, [] where it is one alone.
    """

    version: str
    pictures: int
    classes: int
    spaces: list[str]
    thresholds: dict[str, float | None]
    false_accept_rate: float | None
    engine: str
    network: str
    words: str | None
    tags: bool
    examples: list[str]
    indexes: list[str]
    limits: Asked


@dataclass(frozen=True)
class Health:
    """`ok` or `unhealthy`, and then why; whether the network for uploads is `loading`, `ready` or `failed`; and whether
    the index was saved anew since the server began, which goes on answering from what it was.
    """

    status: str
    network: str
    reason: str | None
    outdated: bool


@dataclass(frozen=True)
class Problem:
    """Why there is no answer: a word for programs, a sentence for people, and texts to ask instead."""

    code: str
    message: str
    suggestions: list[str]


@dataclass(frozen=True)
class Failure:
    """The body of every answer that is an error."""

    error: Problem


class Refused(Exception):
    """A request that gets no answer but a status of HTTP and a `Problem`."""

    def __init__(self, status, code, message, suggestions=()):
        super().__init__(message)
        self.status, self.problem = status, Problem(code, message, list(suggestions))
