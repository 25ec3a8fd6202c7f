"""Training curricula compiled into token shards, and the datasets that come out.

>>> ds = syllabus.compile("curriculum.yaml", "out")     # or syllabus.open("out")
>>> ds[7].tokens                                        # a read-only view of mapped memory, no copy
>>> for batch in ds.loader(batch=1024, rank=3, world=8, micro=4):
...     batch["input_ids"], batch["labels"]

`syllabus.torch` has what PyTorch's loaders and trainers need.
"""

from ._compiler import Plan, check, compile, plan, verify
from ._dataset import Dataset, Phase, Windows, open
from ._loader import Loader, Schedule, Step
from ._native import (
    ContractError,
    CorruptError,
    CurriculumError,
    Fragment,
    InfeasibleError,
    SyllabusError,
    VerificationError,
    Window,
    __version__,
)

__all__ = [
    "ContractError",
    "CorruptError",
    "CurriculumError",
    "Dataset",
    "Fragment",
    "InfeasibleError",
    "Loader",
    "Phase",
    "Plan",
    "Schedule",
    "Step",
    "SyllabusError",
    "VerificationError",
    "Window",
    "Windows",
    "__version__",
    "check",
    "compile",
    "open",
    "plan",
    "verify",
]
