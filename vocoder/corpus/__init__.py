"""Recordings for training: manifests, cleaning, cutting, and fast random access."""

from vocoder.corpus.corpus import Corpus, CorpusFolder
from vocoder.corpus.manifest import Clip, data_digest, read_corpus, write_corpus

__all__ = ["Clip", "Corpus", "CorpusFolder", "data_digest", "read_corpus", "write_corpus"]
