"""Models × verbs: each cell is an answer, or an error that says which space is lacking and how to get one."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from devise import cli, features
from devise.backbones import Backbone, Preprocessing
from devise.backbones.base import randomise
from devise.checks import check
from devise.datasets import open_images
from devise.heads import ConseHead, HeadConfig, LiftHead, MlpHead, RidgeHead
from devise.model import Devise, SHARED, Space, WordText, train_captions, train_classes, train_labels
from devise.model.exporting import largest_difference
from devise.model.sources import Network, Words
from devise.model.text import LiftText
from devise.search import Search
from devise.words import WordVectors
from devise.web.service import Service
