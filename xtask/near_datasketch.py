"""Near duplicates by `datasketch` (PyPI) beside Syllabus's, on the same shingles and at the same threshold.

    cargo xtask near removals --out DIR
    python xtask/near_datasketch.py DIR

For each domain: documents in the order of what stays first (more bytes, then smaller key). `datasketch` is used as its documentation
shows: a MinHash of 128 permutations a document, MinHashLSH(threshold=0.8); a document goes when the index returns an earlier one that
stays. Then the same with candidates verified by their true Jaccard index, and again with bands and rows as Syllabus cuts them. Where
the sets of removed documents differ, the true Jaccard index says why. Needs `datasketch` and `numpy`.
"""

import json
import pathlib
import sys

import numpy as np
from datasketch import MinHash, MinHashLSH

THRESHOLD = 0.8
PERMUTATIONS = 128


def read(path):
    """The documents' sorted sets of shingles: a count (u32) and as many u64, little-endian."""
    data = path.read_bytes()
    sets, at = [], 0
    while at < len(data):
        count = int.from_bytes(data[at : at + 4], "little")
        sets.append(np.frombuffer(data, "<u8", count, at + 4))
        at += 4 + 8 * count
    return sets


def jaccard(a, b):
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both) if both else 0.0


def signatures(sets):
    """MinHash as datasketch computes it: 32 bits of each shingle, its own permutations."""
    empty = MinHash(num_perm=PERMUTATIONS, hashfunc=lambda x: x)
    out = []
    for shingles in sets:
        signature = empty.copy()
        hashes = (shingles & np.uint64(0xFFFFFFFF)).tolist()
        for start in range(0, len(hashes), 4096):
            signature.update_batch(hashes[start : start + 4096])
        out.append(signature)
    return out


def remove(sets, signatures, params, verify):
    """Documents that go, with the number of candidate pairs looked at."""
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, params=params)
    gone, pairs = {}, 0
    for document, (shingles, signature) in enumerate(zip(sets, signatures)):
        if not len(shingles):
            continue
        candidates = sorted(lsh.query(signature))
        pairs += len(candidates)
        if verify:
            candidates = (kept for kept in candidates if jaccard(shingles, sets[kept]) >= THRESHOLD)
        kept = next(iter(candidates), None)
        if kept is None:
            lsh.insert(document, signature)
        else:
            gone[document] = kept
    return gone, pairs, (lsh.b, lsh.r)


def main(folder):
    for path in sorted(folder.glob("*.shingles")):
        domain = path.stem
        sets = read(path)
        rows = [json.loads(line) for line in (folder / f"{domain}.removed.jsonl").open()]
        ours = {row["document"]: row["kept"] for row in rows}
        for row in rows:
            a, b = sets[row["document"]], sets[row["kept"]]
            both = len(np.intersect1d(a, b, assume_unique=True))
            assert (both, len(a) + len(b) - both) == (row["intersection"], row["union"]), row
            assert 10 * row["intersection"] >= 8 * row["union"], row
        print(f"{domain}: {len(sets)} documents; syllabus removes {len(ours)}", flush=True)
        signed = signatures(sets)
        ways = [("as shown", None, False), ("verified", None, True), ("16 x 8, verified", (16, 8), True)]
        for name, params, verify in ways:
            theirs, pairs, cut = remove(sets, signed, params, verify)
            stays = lambda document: document not in ours
            only_theirs = [(d, jaccard(sets[d], sets[k])) for d, k in theirs.items() if d not in ours]
            only_ours = [(d, jaccard(sets[d], sets[k])) for d, k in ours.items() if d not in theirs]
            below = sum(similarity < THRESHOLD for _, similarity in only_theirs)
            # Similar, but to a document that goes in ours and stays in theirs.
            chain = sum(similarity >= THRESHOLD and not stays(theirs[d]) for d, similarity in only_theirs)
            missed = len(only_theirs) - below - chain
            print(
                f"  datasketch, {name:16} ({cut[0]} x {cut[1]}): removes {len(theirs)} of {pairs} candidates;"
                f" both {len(theirs.keys() & ours.keys())};"
                f" only datasketch {len(only_theirs)} (below the threshold {below}, through another survivor {chain},"
                f" missed by syllabus {missed});"
                f" only syllabus {len(only_ours)}"
                + (f" (true similarity {min(s for _, s in only_ours):.3f} to {max(s for _, s in only_ours):.3f})" if only_ours else ""),
                flush=True,
            )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
