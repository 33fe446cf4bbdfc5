"""Words as vectors: read, look up, name classes with them, and choose which may be tags."""

from devise.words.auditing import audit, audit_table, coverage, doubts, unknown_labels
from devise.words.labels import LabelTable, label_vectors, read_synonyms
from devise.words.phrases import embed_texts, phrase_vector, tag_rows
from devise.words.readers import NAMES, convert, from_gensim, open_words
from devise.words.synsets import LabelSynset, label_synsets, strict_mask, synset_vectors
from devise.words.taxonomy import Synset, Taxonomy, shipped_taxonomy, taxonomy_for
from devise.words.vectors import WordVectors

__all__ = ["NAMES", "LabelSynset", "LabelTable", "Synset", "Taxonomy", "WordVectors", "audit", "audit_table", "convert",
           "coverage", "doubts", "embed_texts", "from_gensim", "label_synsets", "label_vectors", "open_words",
           "phrase_vector", "read_synonyms", "shipped_taxonomy", "strict_mask", "synset_vectors", "tag_rows",
           "taxonomy_for", "unknown_labels"]
