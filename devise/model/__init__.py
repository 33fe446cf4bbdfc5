"""Models: a frozen backbone and named embedding spaces, and the functions that train one."""

from devise.model.arithmetic import changed, mixed, weights_of
from devise.model.captions import train_captions
from devise.model.classes import train_classes
from devise.model.concept_text import ConceptText
from devise.model.concepts import Concepts
from devise.model.devise import Devise
from devise.model.evaluating import CaptionFigures, Figures
from devise.model.labels import train_labels
from devise.model.pretrained import pretrained
from devise.model.saving import parameter_counts, whole_network
from devise.model.space import LEARNT, RAW, SHARED, SentenceText, Space, Text, WordText
from devise.model.tags import FIRST_WORDS, NearestNames, Tag, TaggedImages, Tags, naming

__all__ = ["FIRST_WORDS", "LEARNT", "RAW", "SHARED", "CaptionFigures", "ConceptText", "Concepts", "Devise", "Figures",
           "NearestNames", "SentenceText", "Space", "Tag", "TaggedImages", "Tags", "Text", "WordText", "changed",
           "mixed", "naming", "parameter_counts", "pretrained", "train_captions", "train_classes", "train_labels",
           "weights_of", "whole_network"]
