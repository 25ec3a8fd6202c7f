"""check, plan, compile and verify."""

import shutil
import threading

import pytest
import syllabus

WRONG = """\
syllabus: 1
name: wrong
tokenizer: {file: tokenizer.json, eos: "</s>"}
sequence_lenght: 256
sources:
  web: {files: "*.jsonl"}
phases:
  - {name: one, tokens: 1k, mix: {wbe: 100}}
"""


def test_check_shows_every_error_where_it_is(tmp_path, root):
    assert isinstance(syllabus.check(root / "curricula/demo.yaml"), list)
    file = tmp_path / "wrong.yaml"
    file.write_text(WRONG, encoding="utf-8")
    with pytest.raises(syllabus.CurriculumError) as caught:
        syllabus.check(file)
    message = str(caught.value)
    assert "sequence_lenght" in message and "sequence_length" in message and "wbe" in message
    assert f"{file}:4:1" in message and caught.value.summary in message
    with pytest.raises(syllabus.CurriculumError, match="none.yaml"):
        syllabus.check(tmp_path / "none.yaml")


def test_plans(root):
    plan = syllabus.plan(root / "curricula/arctic.yaml")
    assert [phase["name"] for phase in plan["phases"]] and "T" in str(plan) and plan.note
    with pytest.raises(ValueError, match="scale"):
        syllabus.plan(root / "curricula/arctic.yaml", scale="a lot")


def test_compile_reports_progress(compiled):
    _, events = compiled
    stages = [event["stage"] for event in events if event["event"] == "begin"]
    assert stages and len(stages) == len(set(stages))
    assert stages == [event["stage"] for event in events if event["event"] == "end"]


def test_a_finished_dataset_is_checked(compiled, root):
    before = compiled[0].digest
    again = syllabus.compile(root / "curricula/demo.yaml", compiled[0].path, threads=1, memory="1GiB")
    assert again.digest == before


def test_what_progress_raises_stops_the_compile_and_it_goes_on(root, tmp_path):
    class Enough(Exception):
        pass

    def listen(event):
        raise Enough(event["event"])

    with pytest.raises(Enough):
        syllabus.compile(root / "curricula/demo.yaml", tmp_path / "out", memory="1GiB", progress=listen)
    assert not (tmp_path / "out/manifest.json").exists()
    assert len(syllabus.compile(root / "curricula/demo.yaml", tmp_path / "out", memory="1GiB")) > 0


def test_the_gil_is_free(root, tmp_path):
    turns, done = 0, threading.Event()

    def compile():
        try:
            syllabus.compile(root / "curricula/demo.yaml", tmp_path / "out", memory="1GiB", threads=1)
        finally:
            done.set()

    thread = threading.Thread(target=compile)
    thread.start()
    while not done.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 10


def test_errors_carry_the_command_s_words(root, tmp_path):
    text = (root / "curricula/demo.yaml").read_text(encoding="utf-8").replace("../fixtures", str(root / "fixtures"))
    file = tmp_path / "large.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(syllabus.InfeasibleError) as caught:
        syllabus.compile(file, tmp_path / "out", scale=10_000, memory="1GiB")
    assert "max_epochs" in str(caught.value) or "short" in str(caught.value)
    with pytest.raises(ValueError, match="memory"):
        syllabus.compile(file, tmp_path / "out", memory="much")


def test_verify(compiled, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(compiled[0].path, path, ignore=shutil.ignore_patterns(".work"))
    report = syllabus.verify(path)
    assert not report["findings"]
    shard = path / "late/00000.bin"
    content = bytearray(shard.read_bytes())
    content[100] ^= 4
    shard.write_bytes(content)
    with pytest.raises(syllabus.VerificationError) as caught:
        syllabus.verify(path)
    assert any("late/00000.bin" in str(finding) for finding in caught.value.report["findings"])
