"""Words as vectors: read, look up, name classes with them, and choose which may be tags."""

from devise.words.auditing import audit, audit_table, coverage
from devise.words.hierarchy import Hierarchy, Node
from devise.words.labels import LabelTable, label_vectors, read_synonyms
from devise.words.phrases import embed_texts, phrase_vector
from devise.words.readers import NAMES, convert, from_gensim, open_words, to_gensim
from devise.words.steps import Nouns, nouns_of, shipped_nouns
from devise.words.synsets import (
    LabelSynset,
    imagenet_hierarchy,
    imagenet_tree,
    label_synsets,
    write_hierarchy,
)
from devise.words.vectors import WordVectors
from devise.words.vocabulary import tag_rows
from devise.words.wordnet import WordNet

__all__ = ["NAMES", "Hierarchy", "LabelSynset", "LabelTable", "Node", "Nouns", "WordNet", "WordVectors",
           "audit", "audit_table", "convert", "coverage", "embed_texts", "from_gensim", "imagenet_hierarchy",
           "imagenet_tree", "label_synsets", "label_vectors", "nouns_of", "open_words", "phrase_vector",
           "read_synonyms", "shipped_nouns", "tag_rows", "to_gensim", "write_hierarchy"]
