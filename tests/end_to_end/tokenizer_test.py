"""`longspan tokenize` against transformers: SmolLM2's ids of odd Unicode and of whole books, and back.

python tokenizer_test.py --longspan build/longspan      exit code 77: skipped, with the reason
"""
import argparse
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from smollm2 import gguf_path

ROOT = Path(__file__).resolve().parents[2]

ODD = [
    "", " ", "\n\n \n", "I'll we've you're 'S 'LL I\u2019m '\u017f", "1 12 123 3.14159 \u00bd \u2167 \u0663\u0664 x\u00b2 \u2460",
    "e\u0301 \u0301 a\u200db na\u00efve stra\u00dfe \ufb00", "日本語のテキスト、中文。한국어 ไทยไม่มีวรรค हिन्दी",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f600\U0001f600\U0001f3f3\ufe0f", "\u00a0x\u00a0\u00a0y\u2003\u3000w\u180ev\u0085u\u2028t",
    "\ufeffbom \ufffd \ufffe \ue000 \U0010ffff", "שלום עולם مرحبا", "\U0001e4d0\U00031350\U0002ebf0 \U00010d40 \u1c89\ua7cb \U00011de0",
    "\\begin{equation} \\alpha_{1}^{2} + \\frac{a}{b} \\end{equation} % c\n\\\\[2pt]", "def f(x):\n\treturn x\n\n\n    pass\r\n",
    "a" * 5000, " " * 3000 + "x", "\x01\x7f\x1b[0m\t\v\f", "<|im_start|>user\nhi<|im_end|>\n<|endoftext|><|endoftext", " <repo_name> <file_sep>x",
]
INVALID = [b"\xff", b"a\xc3", b"\xc3\x28", b"\xe2\x82z", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"caf\xe9 \xe9t\xe9"]


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def random_texts(count=200, size=400):
    draw = random.Random(0)
    blocks = [(0x20, 0x7F), (0x20, 0x7F), (0x80, 0x250), (0x300, 0x700), (0x900, 0x2100), (0x2000, 0x2400), (0x3000, 0xD7FF),
              (0xE000, 0x10000), (0x10000, 0x1FC00), (0x20000, 0x32400), (0xE0000, 0xE01F0)]
    for _ in range(count):
        yield "".join(chr(draw.randrange(*draw.choice(blocks))) if draw.random() < 0.7 else draw.choice(" \n\t'1a,")
                      for _ in range(size))


def long_texts():
    books = sorted((ROOT.parent / "shared/data").rglob("*.gz"))
    if books:
        return [(path.name, gzip.decompress(path.read_bytes())) for path in books]
    return [(path.name, path.read_bytes()) for path in sorted(Path("/usr/share/vim/vim90/doc").glob("*.txt"))]


def smollm2():
    """The GGUF file and transformers' tokenizer of it."""
    try:
        from tokenizers import pre_tokenizers
        from transformers import AutoTokenizer
    except ImportError as error:
        skip(f"{error}; pip install -r tests/end_to_end/requirements.txt")
    gguf = gguf_path()
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # transformers' GGUF reader leaves out the Digits of SmolLM2's own tokenizer.json.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return gguf, tokenizer


def first_difference(ours, theirs):
    return next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--longspan", required=True)
    longspan = parser.parse_args().longspan
    gguf, tokenizer = smollm2()

    with tempfile.TemporaryDirectory() as folder:
        # A folder with tokenizer.json alone starts quicker than the GGUF; the first text goes through both.
        model = Path(folder) / "model"
        tokenizer.backend_tokenizer.save(str(model) + ".json")
        model.mkdir()
        os.rename(str(model) + ".json", model / "tokenizer.json")

        def run(*arguments, **options):
            return subprocess.run([longspan, "tokenize", *map(str, arguments)], check=True, stdout=subprocess.PIPE,
                                  **options).stdout

        failures = 0

        def compare(name, text, from_model=model):
            nonlocal failures
            ours = json.loads(run(from_model, "-", input=text))
            theirs = tokenizer(text.decode(errors="replace"), add_special_tokens=False)["input_ids"]
            if ours != theirs:
                at = first_difference(ours, theirs)
                print(f"{name}: differs at token {at}: {ours[at - 2:at + 4]}, transformers {theirs[at - 2:at + 4]}")
                failures += 1
            return len(theirs)

        # One text a line, so that one start of the program serves all: the pieces of a text end at "\n<|endoftext|>".
        odd = [t.encode() for t in ODD] + INVALID + [t.encode() for t in random_texts()]
        joined = b"\n<|endoftext|>".join(odd)
        tokens = compare("odd Unicode, from the GGUF", joined, gguf)
        compare("odd Unicode, from tokenizer.json", joined)
        for i, text in enumerate(odd[: len(ODD) + len(INVALID)]):
            compare(f"odd text {i}", text)
        print(f"odd Unicode: {len(odd)} texts, {len(joined):,} bytes, {tokens:,} tokens")

        texts = long_texts()
        total = sum(compare(name, text) for name, text in texts)
        print(f"long texts: {len(texts)} files, {sum(len(text) for _, text in texts):,} bytes, {total:,} tokens")

        text = joined[: 20000].decode(errors="ignore")
        ids = Path(folder) / "ids.json"
        ids.write_bytes(run(gguf, "-", input=text.encode()))
        decoded = run(gguf, ids, "--decode").decode(errors="replace")
        expected = tokenizer.decode(json.loads(ids.read_bytes()), clean_up_tokenization_spaces=False)
        if decoded != expected:
            print("decoding: differs from transformers")
            failures += 1
        print(f"decoding: {len(expected):,} characters")
    print("differences:", failures)
    sys.exit(failures != 0)


main()
