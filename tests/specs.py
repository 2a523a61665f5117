"""The specs that whole contracts run through: those of the project's own images and models.

The laws of other programs' images (window lengths of .4 s, hops of other rates) are tested where
they are read.
"""

OWN = ("linear256", "linear512", "linear1024", "mel256", "seed", "tacotron2")
