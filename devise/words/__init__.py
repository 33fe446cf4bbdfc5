"""Words as vectors: read, look up, name classes with them, and choose which may be tags."""

from devise.words.labels import LabelTable, audit, audit_table, label_vectors, phrase_vector, read_synonyms
from devise.words.readers import NAMES, convert, from_gensim, open_words, to_gensim
from devise.words.vectors import WordVectors
from devise.words.vocabulary import tag_rows

__all__ = ["NAMES", "LabelTable", "WordVectors", "audit", "audit_table", "convert", "from_gensim",
           "label_vectors", "open_words", "phrase_vector", "read_synonyms", "tag_rows", "to_gensim"]
