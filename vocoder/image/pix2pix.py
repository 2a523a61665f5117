"""What pix2pix programs do to images: how they label what they write, and how they round.

Read from the programs' own sources, named at each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a program marks the images that it writes.

    Parameters
    ----------
    output, input, target : str
        Labels of what was generated, of what was given, and of the true answer.
    extras : tuple of str
        Its other labels.
    separator : str or None
        What stands between stem and label in a file name; ``None``: a folder for each label.
    needs_input : bool
        The labels are everyday words: believe them only where both output and input are there.
    preview : str
        Pattern of the stems of images written during training.
    floor_scale : float
        It makes 8 bits by multiplying 0 to 1 by this and cutting the fractions off, which darkens
        by half a level on average; see `dequantised`.
    """

    name: str
    output: str
    input: str
    target: str
    extras: tuple[str, ...] = ()
    separator: str | None
    needs_input: bool = False
    preview: str = r"epoch\d{3,}"
    floor_scale: float = 255

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels."""
        return (self.output, self.input, self.target, *self.extras)


PROGRAMS = (
    # util/visualizer.py save_images, util/util.py tensor2im: ((x + 1) / 2 * 255).astype(uint8).
    # With --direction BtoA real_A is the image of side B, and fake_B is still the output
    # (models/pix2pix_model.py set_input). CycleGAN names fake_A after A's file, though it was made
    # from B's (models/cycle_gan_model.py), so it is taken only when asked for.
    Program(
        name="pytorch-CycleGAN-and-pix2pix",
        output="fake_B",
        input="real_A",
        target="real_B",
        extras=("rec_A", "fake_A", "rec_B", "idt_A", "idt_B"),
        separator="_",
    ),
    # models/test_model.py of the same program.
    Program(
        name="pytorch-CycleGAN-and-pix2pix --model test",
        output="fake",
        input="real",
        target="real",
        separator="_",
        needs_input=True,
    ),
    # util/visualizer.py save_images and util/util.py tensor2im of contrastive-unpaired-translation.
    Program(
        name="CUT",
        output="fake_B",
        input="real_A",
        target="real_B",
        extras=("fake_A", "rec_A", "rec_B", "idt_A", "idt_B"),
        separator=None,
    ),
    # pix2pix.py save_images; previews begin with the step in eight digits. TensorFlow's
    # convert_image_dtype multiplies by 255.5 and cuts off (image_ops_impl.py).
    Program(
        name="pix2pix-tensorflow",
        output="outputs",
        input="inputs",
        target="targets",
        separator="-",
        preview=r"0\d{7}-.*",
        floor_scale=255.5,
    ),
    # test.lua; torch's image.save multiplies by 255 and casts to bytes (image/generic/png.c).
    Program(
        name="pix2pix (Lua)",
        output="output",
        input="input",
        target="target",
        separator=None,
        needs_input=True,
    ),
    # test.py, util/visualizer.py save_images (JPEG at Pillow's quality 75), util/util.py tensor2im.
    Program(
        name="pix2pixHD",
        output="synthesized_image",
        input="input_label",
        target="real_image",
        separator="_",
    ),
)
# Programs that write <output_dir>/<same name>: bare images, which cannot be told from any others
# unless the user names the program; with their `Program.floor_scale`. img2img-turbo
# (src/inference_paired.py) leaves it to torchvision's ToPILImage: mul(255).byte().
UNMARKED = {"img2img-turbo": 255.0}


def dequantised(floor_scale: float) -> np.ndarray:
    """What the levels of a program that cuts fractions off stand for, on average.

    Level ``n`` was drawn where ``floor_scale`` times the value is ``n`` to below ``n + 1``, and
    no value is above 1. Black is taken for silence, as in images that no program drew.

    Returns
    -------
    ndarray
        ``(256,)``, float32: the middle of what became each level, on the scale 0 to 255.
    """
    low = np.arange(256) * (255 / floor_scale)
    found = (low + np.minimum(low + 255 / floor_scale, 255)) / 2
    found[0] = 0
    return np.asarray(found, np.float32)
