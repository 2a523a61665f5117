"""``vocoder import``: weights that another program has trained become ours."""

from __future__ import annotations

from pathlib import Path

from vocoder.cli.codes import DONE
from vocoder.errors import BadInput
from vocoder.files import refuse_existing


def run(
    *, input: str, output: str, config: str | None, discriminators: str | None, overwrite: bool
) -> int:
    """Import weights; the keys are those of ``conf/import.yaml``, which describes them."""
    from vocoder.config import TARGET, own_class
    from vocoder.model.checkpoint import SUFFIX
    from vocoder.model.hifigan import HifiGan
    from vocoder.model.interchange.foreign import import_generator
    from vocoder.model.interchange.original_hifigan import import_discriminators
    from vocoder.train.loop import DISCRIMINATORS_NAME
    from vocoder.train.state import save_tensors

    source, target = Path(input), Path(output)
    if target.suffix != SUFFIX:
        raise BadInput(f"output={output} has another suffix than {SUFFIX}", key="output.format")
    refuse_existing(target, overwrite=overwrite)
    checkpoint = import_generator(None if config is None else Path(config), source)
    judging = None if discriminators is None else Path(discriminators)
    beside = source.with_name(f"do_{source.name.removeprefix('g_')}")
    # BigVGAN's are called so too, but are others.
    ours = own_class(checkpoint.model[TARGET], output) is HifiGan
    if judging is None and ours and source.name.startswith("g_") and beside.is_file():
        judging = beside
    others = target.with_name(DISCRIMINATORS_NAME)
    if judging is not None:
        refuse_existing(others, overwrite=overwrite)
    states = None if judging is None else import_discriminators(judging)
    checkpoint.write(target, overwrite=overwrite)
    print(f"{output}: reads {checkpoint.spec.describe()}")
    if states is not None:
        save_tensors(states, others)
        print(f"{others}: its discriminators, which train.init={output} begins with")
    return DONE
