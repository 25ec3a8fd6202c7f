from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, NamedTuple, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

__version__: str

_Path: TypeAlias = str | PathLike[str]
_Count: TypeAlias = int | str
_Number: TypeAlias = int | float | str
_Progress: TypeAlias = Callable[[dict[str, Any]], object]
_Output: TypeAlias = Literal["labels", "position_ids", "segment_ids", "cu_seqlens", "loss_mask"]

class SyllabusError(Exception):
    summary: str

class CorruptError(SyllabusError): ...
class ContractError(SyllabusError): ...
class CurriculumError(SyllabusError): ...

class InfeasibleError(SyllabusError):
    plan: Plan

class VerificationError(SyllabusError):
    report: dict[str, Any]

@final
class Fragment:
    @property
    def start(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def document(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def epoch(self) -> int: ...

@final
class Window:
    @property
    def index(self) -> int: ...
    @property
    def tokens(self) -> NDArray[np.uint16] | NDArray[np.uint32]: ...
    @property
    def source(self) -> str: ...
    @property
    def source_id(self) -> int: ...
    @property
    def phase(self) -> str: ...
    @property
    def padding(self) -> int: ...
    @property
    def file(self) -> PathLike[str]: ...
    @property
    def fragments(self) -> list[Fragment]: ...
    def position_ids(self) -> NDArray[np.int32]: ...
    def segment_ids(self) -> NDArray[np.int32]: ...
    def cu_seqlens(self) -> NDArray[np.int32]: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

class Phase(NamedTuple):
    name: str
    first_window: int
    windows: int
    sequence_length: int
    window_tokens: int
    sources: dict[str, int]

class Windows:
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> Window: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[np.integer[Any]], /) -> NDArray[Any]: ...
    def __iter__(self) -> Iterator[Window]: ...

class Dataset(Windows):
    manifest: dict[str, Any]
    @property
    def path(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def sources(self) -> list[str]: ...
    @property
    def phases(self) -> list[Phase]: ...
    @property
    def validation(self) -> dict[str, Windows]: ...
    def loader(
        self,
        batch: _Count | Mapping[_Count, _Count],
        *,
        by: Literal["tokens", "windows"] = "tokens",
        rank: int = 0,
        world: int = 1,
        micro: int | None = None,
        start: int = 0,
        skip: Sequence[tuple[int, int]] = (),
        phase_end: Literal["short", "drop"] = "short",
        cp: tuple[int, int, Literal["contiguous", "zigzag"]] | None = None,
        phase: str | None = None,
        validation: str | None = None,
        ids: Literal["int32", "int64"] = "int64",
        outputs: Sequence[_Output] = ...,
        max_docs: int | None = None,
        mask_document_starts: bool = False,
        ignore_index: int | None = -100,
        format: Literal["numpy", "torch"] = "numpy",
        pin: bool | None = None,
        threads: int = 1,
        prefetch_bytes: int = ...,
    ) -> Loader: ...
    def verify(self) -> None: ...

class Step(NamedTuple):
    step: int
    phase: str
    phase_index: int
    sequence_length: int
    start: int
    end: int
    windows: int
    progress: float
    position: int
    tokens: int

class Schedule:
    @property
    def first_step(self) -> int: ...
    def at(self, step: int) -> Step: ...
    def step_of(self, window: int) -> int: ...
    def __len__(self) -> int: ...

class Loader:
    schedule: Schedule
    @property
    def next_step(self) -> int: ...
    def __init__(
        self,
        dataset: Dataset,
        batch: _Count | Mapping[_Count, _Count],
        *,
        by: Literal["tokens", "windows"] = "tokens",
        rank: int = 0,
        world: int = 1,
        micro: int | None = None,
        start: int = 0,
        skip: Sequence[tuple[int, int]] = (),
        phase_end: Literal["short", "drop"] = "short",
        cp: tuple[int, int, Literal["contiguous", "zigzag"]] | None = None,
        phase: str | None = None,
        validation: str | None = None,
        ids: Literal["int32", "int64"] = "int64",
        outputs: Sequence[_Output] = ...,
        max_docs: int | None = None,
        mask_document_starts: bool = False,
        ignore_index: int | None = -100,
        format: Literal["numpy", "torch"] = "numpy",
        pin: bool | None = None,
        threads: int = 1,
        prefetch_bytes: int = ...,
    ) -> None: ...
    def __iter__(self) -> Loader: ...
    def __next__(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...

class Plan(dict[str, Any]):
    note: str | None

def open(
    path: _Path,
    *,
    verify: Literal["first-touch"] | None = None,
    tokenizer: str | None = None,
    vocab_size: int | None = None,
    sequence_length: int | None = None,
    digest: str | None = None,
) -> Dataset: ...
def check(file: _Path) -> list[str]: ...
def plan(
    file: _Path,
    *,
    data: _Path | None = None,
    scale: _Number = 1,
    simulate: bool = False,
    threads: int | None = None,
) -> Plan: ...
def compile(
    file: _Path,
    out: _Path,
    *,
    data: _Path | None = None,
    phases: Sequence[str] = (),
    scale: _Number = 1,
    thin: _Number | None = None,
    memory: int | str = "4GiB",
    threads: int | None = None,
    work: _Path | None = None,
    progress: _Progress | None = None,
) -> Dataset: ...
def verify(path: _Path, *, quick: bool = False, progress: _Progress | None = None) -> dict[str, Any]: ...
