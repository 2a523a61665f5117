"""Settings of earlier versions: refused with what says the same today."""

import re
from collections.abc import Collection

from vocoder.errors import BadInput

# Key, or key=option, and what to give instead.
_RENAMED = {
    "checkpoint": "repair.weights= or inverter.weights=, each where its network is",
    "inverter=hybrid": "repair=auto inverter=griffin_lim",
    "inverter=istft": "repair=auto inverter=griffin_lim",
    "inverter.repair": "repair.weights=",
    "inverter.checkpoint": "inverter.weights=",
    "inverter.positions": "repair.n_shifts=",
    "inverter.contrast": "repair.postfilter=",
    "inverter.jpeg": "repair.jpeg.weights=",
    "inverter.jpeg_contrast": "repair.jpeg.postfilter=",
    "inverter.consistent_db": "repair.consistent_db=",
    "inverter.inconsistent_db": "repair.inconsistent_db=",
    "inverter.repaired_share": "inverter.n_iter_estimated=, iterations instead of a share of them",
    "channel": "degradation=",
    "painted": "generated=",
    "data=painted": "data=generated",
    "experiment=painted": "experiment=generated",
    "experiment=istft": "experiment=jpeg",
    "model=istft": "model=repair",
    "model=wavenet_fullband": "model=wavenet",
    "model=wavenet_mulaw": "model=wavenet",
    "train.validation_lines": "train.validation_utterances=",
    "train.task.quantile": "train.task.tau=",
}


def require_current(key: str, option: str = "", known: Collection[str] | None = None) -> None:
    """Refuse a key, or a group's option, that an earlier version had.

    With ``known``, only where the new key is among these.
    """
    old = f"{key}={option}" if option else key
    new = re.findall(r"([\w.]+)=", _RENAMED.get(old, ""))
    if new and (known is None or any(name in known for name in new)):
        raise BadInput(f"{old} is now {_RENAMED[old]}", key=f"{key}.renamed")
