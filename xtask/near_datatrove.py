"""MinHash deduplication by datatrove (PyPI), as its own example sets it up: signatures, buckets, clusters, filter.

    python near_datatrove.py FILE.jsonl SCRATCH WORKERS

FILE holds a JSON object with `text` on each line; it is cut into as many parts as there are workers. 14 buckets of 8 hashes over
5-grams. Prints one JSON object: the seconds of each step, and how many documents stay. Loading Python and datatrove is not counted.
"""

import gzip
import json
import pathlib
import shutil
import sys
import time

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig

BUCKETS, HASHES, WORDS = 14, 8, 5


def main(file, scratch, workers):
    shutil.rmtree(scratch, ignore_errors=True)
    parts = scratch / "parts"
    parts.mkdir(parents=True)
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    for part in range(workers):
        rows = (f'{{"id": {n}, {lines[n][1:]}\n' for n in range(part, len(lines), workers))
        (parts / f"{part}.jsonl").write_text("".join(rows), encoding="utf-8")
    config = MinhashConfig(
        hash_config=HashConfig(precision=64), num_buckets=BUCKETS, hashes_per_bucket=HASHES, n_grams=WORDS
    )
    at = lambda name: str(scratch / name)
    steps = {
        "signatures": (workers, [JsonlReader(str(parts)), MinhashDedupSignature(output_folder=at("sig"), config=config)]),
        "buckets": (BUCKETS, [MinhashDedupBuckets(input_folder=at("sig"), output_folder=at("buckets"), config=config)]),
        "clusters": (1, [MinhashDedupCluster(input_folder=at("buckets"), output_folder=at("remove"), config=config)]),
        "filter": (
            workers,
            [JsonlReader(str(parts)), MinhashDedupFilter(input_folder=at("remove")), JsonlWriter(at("out"))],
        ),
    }
    seconds = {}
    for name, (tasks, pipeline) in steps.items():
        start = time.monotonic()
        LocalPipelineExecutor(
            pipeline=pipeline, tasks=tasks, workers=min(workers, tasks), logging_dir=at(f"logs-{name}")
        ).run()
        seconds[name] = time.monotonic() - start
    kept = 0
    for path in (scratch / "out").glob("*.jsonl.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as rows:
            kept += sum(1 for _ in rows)
    shutil.rmtree(scratch)
    print(json.dumps({"seconds": seconds, "documents": len(lines), "kept": kept}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]))
