"""Encodes the texts of a JSON Lines file one after the other, on one thread, with another tokenizer's library.

rivals_encode.py TOOL DOCUMENTS TOKENIZER CHECKS. Prints seconds and tokens as JSON, and leaves in CHECKS a line a document: the
CRC-32 of its ids, each as four bytes, little-endian. Special tokens are not added, and text that spells one is text.
"""

import json
import sys
import time
import zlib

import numpy


def hugging_face(path):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(path)
    tokenizer.encode_special_tokens = True
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def splintr(path):
    import splintr

    return splintr.from_json(path).encode_ordinary


def letters():
    """GPT-2's letters of bytes: those that can be seen are themselves, the others follow 255."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


def tiktoken(path):
    import tiktoken

    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    if "ByteLevel" not in json.dumps(model["pre_tokenizer"]):
        sys.exit("it is no byte-level BPE")
    # GPT-2's pattern, unless the file has another.
    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    steps = model["pre_tokenizer"] or {}
    for step in steps.get("pretokenizers", [steps]):
        pattern = step.get("pattern", {}).get("Regex", pattern)
    byte = letters()
    added = {token["content"] for token in model["added_tokens"]}
    ranks = {
        bytes(byte[letter] for letter in piece): number
        for piece, number in model["model"]["vocab"].items()
        if piece not in added
    }
    return tiktoken.Encoding("file", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}).encode_ordinary


def main():
    tool, documents, tokenizer, checks = sys.argv[1:]
    encode = {"tokenizers": hugging_face, "splintr-rs": splintr, "tiktoken": tiktoken}[tool](tokenizer)
    with open(documents, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    encode("Once, so that what is made at first use is made.")
    start = time.perf_counter()
    ids = [encode(text) for text in texts]
    seconds = time.perf_counter() - start
    with open(checks, "w", encoding="ascii") as file:
        file.writelines(f"{zlib.crc32(numpy.asarray(of, '<u4').tobytes())}\n" for of in ids)
    print(json.dumps({"seconds": seconds, "tokens": sum(map(len, ids))}))


main()
