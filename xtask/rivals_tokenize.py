"""Tokenizing alone by another tool (PyPI), as it is shipped, with the same tokenizer, documents and number of processes.

    python rivals_tokenize.py datatrove|dolma FILE.jsonl SCRATCH WORKERS TOKENIZER.json EOS

FILE holds a JSON object with `text` on each line; it is cut into as many parts as there are workers. Prints one JSON object: the
seconds, from reading to the last file written, and how many tokens were written. Loading Python and the tool is not counted.
"""

import json
import pathlib
import shutil
import sys
import time


def datatrove(parts, out, workers, tokenizer, eos):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    steps = [
        JsonlReader(str(parts)),
        DocumentTokenizer(str(out), tokenizer_name_or_path=tokenizer, eos_token=eos, shuffle_documents=False),
    ]
    start = time.monotonic()
    LocalPipelineExecutor(pipeline=steps, tasks=workers, workers=workers, logging_dir=str(out.with_name("logs"))).run()
    seconds = time.monotonic() - start
    return seconds, sum(path.stat().st_size for path in out.glob("*.ds")) // 2


def dolma(parts, out, workers, tokenizer, eos):
    from dolma.tokenizer.executor import tokenize_in_parallel

    vocabulary = json.loads(pathlib.Path(tokenizer).read_text(encoding="utf-8"))
    eos = next(token["id"] for token in vocabulary["added_tokens"] if token["content"] == eos)
    start = time.monotonic()
    tokenize_in_parallel(
        sources=[str(path) for path in sorted(parts.glob("*.jsonl"))],
        destination=str(out),
        num_writers=workers,
        num_readers=1,
        tokenizer_name_or_path=tokenizer,
        eos_token_id=eos,
        pad_token_id=eos,
    )
    seconds = time.monotonic() - start
    return seconds, sum(path.stat().st_size for path in out.glob("**/*.npy")) // 2


def main(tool, file, scratch, workers, tokenizer, eos):
    shutil.rmtree(scratch, ignore_errors=True)
    parts = scratch / "parts"
    parts.mkdir(parents=True)
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    for part in range(workers):
        rows = (f'{{"id": "{n}", "source": "bench", {lines[n][1:]}\n' for n in range(part, len(lines), workers))
        (parts / f"{part}.jsonl").write_text("".join(rows), encoding="utf-8")
    seconds, tokens = {"datatrove": datatrove, "dolma": dolma}[tool](parts, scratch / "out", workers, tokenizer, eos)
    shutil.rmtree(scratch)
    print(json.dumps({"seconds": seconds, "documents": len(lines), "tokens": tokens}))


if __name__ == "__main__":
    tool, file, scratch, workers, tokenizer, eos = sys.argv[1:]
    main(tool, pathlib.Path(file), pathlib.Path(scratch), int(workers), tokenizer, eos)
