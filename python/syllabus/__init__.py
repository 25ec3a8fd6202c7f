"""Datasets that Syllabus compiled from a training curriculum.

>>> ds = syllabus.open("out")
>>> ds[7].tokens                      # a read-only view of mapped memory, no copy
>>> for batch in ds.loader(batch=1024, rank=3, world=8, micro=4):
...     batch["input_ids"], batch["labels"]
"""

from ._dataset import Dataset, Fragment, Phase, Window, Windows, open
from ._loader import Loader, Schedule, Step
from ._native import ContractError, CorruptError, SyllabusError, __version__

__all__ = [
    "ContractError",
    "CorruptError",
    "Dataset",
    "Fragment",
    "Loader",
    "Phase",
    "Schedule",
    "Step",
    "SyllabusError",
    "Window",
    "Windows",
    "__version__",
    "open",
]
