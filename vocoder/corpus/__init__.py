"""Corpora to train on: made from recordings, and read with fast random access."""

from vocoder.corpus.corpus import Corpus
from vocoder.corpus.manifest import Utterance, data_digest, read_corpus, write_corpus

__all__ = ["Corpus", "Utterance", "data_digest", "read_corpus", "write_corpus"]
