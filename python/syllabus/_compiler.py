"""The compiler: what the command line does, over the same core."""

import json
import os

from . import _native
from ._dataset import open


def _call(name, *arguments, **options):
    function = getattr(_native, name, None)
    if function is None:
        raise ImportError(f"this build of syllabus reads datasets only: `{name}` needs its feature `compiler`")
    return function(*arguments, **options)


def _listener(progress):
    return None if progress is None else lambda line: progress(json.loads(line))


class Plan(dict):
    """A plan as data: the object that `syllabus plan --json` prints. `print(plan)` shows the tables of `syllabus plan`.

    `note` says what the sizes were taken from, where no data was read; else it is None.
    """

    def __init__(self, view, text, note):
        super().__init__(view)
        self._text, self.note = text, note

    def __str__(self):
        return self._text

    def __repr__(self):
        return f"<Plan of {self['name']}: {self['tokens']} tokens in {len(self['phases'])} phases>"


def check(file):
    """Parses and validates a curriculum; the list of its warnings.

    Raises CurriculumError with all errors of the file, each with its line, a caret and a hint.
    """
    return _call("check", os.fspath(file))


def plan(file, *, data=None, scale=1, simulate=False, threads=None):
    """What a curriculum will read: shares, windows, epochs, disk, memory, time. Nothing is compiled.

    data: where relative paths of sources start; sizes are then estimated from samples of the files. scale: multiplies budgets, a
    number or a text as on the command line ("1/1000"). simulate: walks the whole window schedule. threads: all cores if None.

    Raises InfeasibleError, whose `plan` has what was asked for, when it cannot be carried out; CurriculumError; SyllabusError and
    OSError for sources that cannot be read.
    """
    view, text, note, refusal = _call(
        "plan", os.fspath(file), data=data, scale=str(scale), simulate=simulate, threads=threads
    )
    found = Plan(json.loads(view), text, note)
    if refusal is not None:
        refusal.plan = found
        raise refusal
    return found


def compile(file, out, *, data=None, phases=(), scale=1, thin=None, memory="4GiB", threads=None, work=None, progress=None):
    """Compiles a curriculum into the folder `out`, and opens what is there then.

    A finished dataset of the same request is checked and not made again; one that was interrupted goes on from what is committed.
    phases: write only these. scale, data, threads: as for `plan`. thin: keep only this share of all documents, as "1%". memory: a
    ceiling in bytes, or a text as "8GiB". work: where intermediate files go and stay, OUT/.work if None.

    progress: called on this thread with a dictionary for each event, at most one a second within a stage: `event` ("begin",
        "progress", "end"), `stage`, `seconds`, and `parts`, `windows` (each `done` and `of`), `documents`, `bytes` where known;
        or `event` ("note", "warning") and `message`. What it raises stops the compile, as Ctrl-C does, and is raised again.

    Releases the GIL. Raises CurriculumError, InfeasibleError, SyllabusError and OSError with the words of the command line.
    """
    # Encoders run on the compile's threads alone.
    os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
    _call(
        "compile", os.fspath(file), os.fspath(out), data=data, phases=list(phases), scale=str(scale),
        thin=None if thin is None else str(thin), memory=str(memory), threads=threads, work=work, progress=_listener(progress),
    )
    return open(out)


def verify(path, *, quick=False, progress=None):
    """Proves that the dataset in the folder `path` is what its manifest says; the report as a dictionary.

    quick: presence, sizes and the manifest's own fields only. progress: called with dictionaries of `stage`, `done` and `of`.

    Raises VerificationError, whose `report` lists all `findings` (`file`, `message`), when anything is off. Interrupted, it leaves
    its threads to end by themselves.
    """
    view, refusal = _call("verify", os.fspath(path), quick=quick, progress=_listener(progress))
    report = json.loads(view)
    if refusal is not None:
        refusal.report = report
        raise refusal
    return report
