#!/usr/bin/env python3
"""Computes identities from docs/identity.md alone: a second implementation, to hold against reflow's own.

    identity.py [FILE]          prints the digest and the name of each test vector
    identity.py --check [FILE]  says which vectors have another digest (or encoding), exit code 1 if any has

FILE (else standard input) holds vectors as JSON lines, or as one JSON list. A vector has a `name`, a `kind`
(a key of KINDS), an `input` and a `digest`. Where an input has a digest, it may have in its place another
vector, whose digest is meant. Only the standard library is needed.
"""

import json
import struct
import sys

# BLAKE3, as in the paper "BLAKE3: one function, fast everywhere", section 2: the plain hash alone.

WORDS = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8


def compress(chaining, block, counter, length, flags):
    """Returns the first eight words of the compression of one block of 64 bytes."""
    message = struct.unpack("<16I", block)
    state = [*chaining, *WORDS[:4], counter & 0xFFFFFFFF, counter >> 32, length, flags]

    def mix(a, b, c, d, word, rotate_d, rotate_b):
        state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
        turned = state[d] ^ state[a]
        state[d] = (turned >> rotate_d | turned << (32 - rotate_d)) & 0xFFFFFFFF
        state[c] = (state[c] + state[d]) & 0xFFFFFFFF
        turned = state[b] ^ state[c]
        state[b] = (turned >> rotate_b | turned << (32 - rotate_b)) & 0xFFFFFFFF

    for _ in range(7):
        for position, lanes in enumerate(COLUMNS_AND_DIAGONALS):
            mix(*lanes, message[2 * position], 16, 12)
            mix(*lanes, message[2 * position + 1], 8, 7)
        message = [message[place] for place in PERMUTATION]
    return [low ^ high for low, high in zip(state, state[8:])]


def chunk(data, counter, root):
    """Returns the chaining value of at most 1024 bytes."""
    blocks = [data[start:start + 64] for start in range(0, len(data), 64)] or [b""]
    chaining = WORDS
    for position, block in enumerate(blocks):
        is_last = position == len(blocks) - 1
        flags = (CHUNK_START if position == 0 else 0) | ((CHUNK_END | root) if is_last else 0)
        chaining = compress(chaining, block.ljust(64, b"\0"), counter, len(block), flags)
    return chaining


def subtree(data, counter, root):
    """Returns the chaining value of data that starts at the chunk `counter`."""
    if len(data) <= 1024:
        return chunk(data, counter, root)
    # The left side has the largest power of two of whole chunks that leaves something to the right.
    left = 1024
    while left * 2 < len(data):
        left *= 2
    halves = subtree(data[:left], counter, 0) + subtree(data[left:], counter + left // 1024, 0)
    return compress(WORDS, struct.pack("<16I", *halves), 0, 64, PARENT | root)


def blake3(data):
    return struct.pack("<8I", *subtree(data, 0, ROOT))


# Deterministic CBOR, RFC 8949, section 4.2.1.


def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    for extra, (limit, form) in enumerate(((1 << 8, ">B"), (1 << 16, ">H"), (1 << 32, ">I"), (1 << 64, ">Q"))):
        if number < limit:
            return bytes([major << 5 | 24 + extra]) + struct.pack(form, number)
    raise ValueError(f"{number} is too large")


def encode_float(number):
    for first, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            packed = struct.pack(form, number)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == number:
            return first + packed
    return b"\xfb" + struct.pack(">d", number)


def encode(item):
    if item is None:
        return b"\xf6"
    if isinstance(item, bool):
        return b"\xf5" if item else b"\xf4"
    if isinstance(item, int):
        return head(0, item) if item >= 0 else head(1, -1 - item)
    if isinstance(item, float):
        return encode_float(item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        text = item.encode("utf-8")
        return head(3, len(text)) + text
    if isinstance(item, list):
        return head(4, len(item)) + b"".join(encode(entry) for entry in item)
    pairs = sorted((encode(key), encode(value)) for key, value in item.items())
    return head(5, len(pairs)) + b"".join(key + value for key, value in pairs)


def H(*items):
    return blake3(encode(list(items)))


# Values, tasks and elements.


def path_name(path, run_dir):
    if run_dir is not None and (path + "/").startswith(run_dir + "/"):
        return path[len(run_dir):].lstrip("/") or "."
    return path


def value(kind, item, context):
    """Returns V(kind, item). The context has, where they matter: `run_dir`; `files`, the kind and the
    content of each by its path; `execution`, of the element that returned the value, none for what the user
    gave."""
    if "@" in kind[kind.rfind("]") + 1:]:
        base, codec = kind.rsplit("@", 1)
        return H("reflow/coded/1", codec, value(base, item, context))
    if kind.startswith("list["):
        return H("reflow/list/1", *(value(kind[5:-1], entry, context) for entry in item))
    if kind.startswith("optional[") and item is not None:
        return value(kind[9:-1], item, context)
    if kind == "file":
        of_file, content = context["files"][item]
        return H("reflow/file/1", path_name(item, context.get("run_dir")), of_file, digest_of(content))
    if kind == "path" and "execution" in context:
        execution = digest_of(context["execution"])
        return H("reflow/path/1", path_name(item, context.get("run_dir")), execution)
    return H("reflow/value/1", item)


def tree(entries):
    """Returns the content of a directory. Each entry has a `name` (or `name_hex`), and either the text of a
    `file`, the entries of a `directory`, or the target of a `link` that is not followed."""

    def described(entry):
        name = bytes.fromhex(entry["name_hex"]) if "name_hex" in entry else entry["name"].encode()
        if "file" in entry:
            return [name, "file", blake3(entry["file"].encode())]
        if "directory" in entry:
            return [name, "directory", tree(entry["directory"])]
        return [name, "link", entry["link"].encode()]

    return H("reflow/tree/1", *sorted(map(described, entries), key=lambda entry: entry[0]))


def task(it):
    def described(parameter):
        start = [parameter["name"], parameter["type"]]
        if "plain" in parameter:
            return [*start, "plain", value(parameter["type"], parameter["plain"], it)]
        return [*start, parameter["mode"]]

    parameters = sorted(map(described, it["parameters"]), key=lambda parameter: parameter[0].encode())
    return H("reflow/task/1", it["scope"], it["name"], it["version"], it["code"], it["returns"], parameters)


def element(it):
    inputs = sorted(it["inputs"].items(), key=lambda pair: pair[0].encode())
    return H("reflow/element/1", digest_of(it["task"]), *(digest_of(given) for _, given in inputs))


KINDS = {
    # Bytes 0, 1, … 250, 0, 1, … of this number, as in the official vectors of BLAKE3.
    "blake3": lambda length: blake3(bytes(at % 251 for at in range(length))),
    "cbor": lambda item: blake3(encode(item)),
    "value": lambda it: value(it["type"], it["value"], it),
    "tree": tree,
    "execution": lambda it: H("reflow/execution/1", digest_of(it["identity"]), it["tag"]),
    "task": task,
    "element": element,
}


def digest_of(it):
    return bytes.fromhex(it) if isinstance(it, str) else KINDS[it["kind"]](it["input"])


def json_integer(text):
    """Returns what a number without fraction and exponent counts as."""
    number = int(text)
    return float(text) if text == "-0" or not -(2**63) <= number < 2**64 else number


def main(arguments):
    is_check = arguments[:1] == ["--check"]
    files = arguments[1:] if is_check else arguments
    if files:
        with open(files[0], encoding="utf-8") as file:
            text = file.read()
    else:
        text = sys.stdin.buffer.read().decode("utf-8")
    lines = [text] if text.lstrip().startswith("[") else filter(str.strip, text.split("\n"))
    read = [json.loads(line, parse_int=json_integer) for line in lines]
    vectors = read[0] if read and isinstance(read[0], list) else read
    faults = 0
    for vector in vectors:
        digest = digest_of(vector).hex()
        if not is_check:
            print(digest, vector["name"])
            continue
        found = [(digest, vector["digest"])]
        if "encoded" in vector:
            found.append((encode(vector["input"]).hex(), vector["encoded"]))
        for mine, theirs in found:
            if mine != theirs:
                faults += 1
                print(f"{vector['name']}: {mine}, and not {theirs}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
