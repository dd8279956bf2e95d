"""What the tests of tokenizers share: odd texts and long ones, and `longspan tokenize` beside another program."""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer

BLANK = "\u2581"

ODD = [
    "", " ", "\n\n \n", "I'll we've you're 'S 'LL I\u2019m '\u017f", "1 12 123 3.14159 \u00bd \u2167 \u0663\u0664 x\u00b2 \u2460",
    "e\u0301 \u0301 a\u200db na\u00efve stra\u00dfe \ufb00", "日本語のテキスト、中文。한국어 ไทยไม่มีวรรค हिन्दी",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f600\U0001f600\U0001f3f3\ufe0f", "\u00a0x\u00a0\u00a0y\u2003\u3000w\u180ev\u0085u\u2028t",
    "\ufeffbom \ufffd \ufffe \ue000 \U0010ffff", "שלום עולם مرحبا", "\U0001e4d0\U00031350\U0002ebf0 \U00010d40 \u1c89\ua7cb \U00011de0",
    "\\begin{equation} \\alpha_{1}^{2} + \\frac{a}{b} \\end{equation} % c\n\\\\[2pt]", "def f(x):\n\treturn x\n\n\n    pass\r\n",
    "a" * 5000, " " * 3000 + "x", "\x01\x7f\x1b[0m\t\v\f", "<|im_start|>user\nhi<|im_end|>\n<|endoftext|><|endoftext", " <repo_name> <file_sep>x",
    "\0a\0", " x", "  x", f"{BLANK}x {BLANK}{BLANK} y{BLANK} ", "<0x0A> <0xZZ>", "日本" * 700, "e\u0301\u0327" * 50,
    "\u212b \u1e9b\u0323 a\u0301\u0316 \u1100\u1161\u11a8 \u0958 \ufb1d a\u0897\u0327",
]
RUNS = [text for n in range(1, 40) for text in (" " * n, "a" + " " * n + "b", "\n" * n + "x", BLANK * n + "y", "=" * n, "\t" * n)]
SPECIAL = ["<s>", "<s>x", " <s> x", "x</s>", "x </s> y</s>  z</s>\nq", "</s><s>", "<unk> x", "[INST] hi [/INST]"]
INVALID = [b"\xff", b"a\xc3", b"\xc3\x28", b"\xe2\x82z", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"caf\xe9 \xe9t\xe9"]

differences = []


def differs(what):
    print(what)
    differences.append(what)


def finish_comparison():
    """Ends a test that found a difference."""
    print("differences:", len(differences))
    if differences:
        sys.exit(1)


def random_texts(count=200, size=400):
    draw = random.Random(0)
    blocks = [(0x20, 0x7F), (0x20, 0x7F), (0x80, 0x250), (0x300, 0x700), (0x900, 0x2100), (0x2000, 0x2400), (0x3000, 0xD7FF),
              (0xE000, 0x10000), (0x10000, 0x1FC00), (0x20000, 0x32400), (0xE0000, 0xE01F0)]
    for _ in range(count):
        yield "".join(chr(draw.randrange(*draw.choice(blocks))) if draw.random() < 0.7 else draw.choice(" \n\t'1a,")
                      for _ in range(size))


def long_texts():
    """Name and bytes of vim's long manuals, which the quickstart trains on too."""
    manuals = [path for path in sorted(Path("/usr/share/vim").glob("vim*/doc/*.txt")) if path.stat().st_size > 100000]
    if not manuals:
        print("skipped: no manuals in /usr/share/vim; tools/setup.sh installs vim-runtime")
        sys.exit(77)
    return [(path.name, path.read_bytes()) for path in manuals]


def first_difference(ours, theirs):
    return next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))


class Ours:
    """`longspan tokenize` with one model."""

    def __init__(self, longspan, model):
        self.longspan, self.model = longspan, model

    def run(self, *arguments, **options):
        return subprocess.run([self.longspan, "tokenize", self.model, *map(str, arguments)], check=True,
                              stdout=subprocess.PIPE, **options).stdout

    def encode(self, text):
        return json.loads(self.run("-", input=text))

    def encode_each(self, texts):
        """The ids of each text, by one start of the program."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / str(number) for number in range(len(texts))]
            for file, text in zip(files, texts):
                file.write_bytes(text)
            return [json.loads(line) for line in self.run(*files).splitlines()]

    def decode(self, ids):
        return self.run("-", "--decode", input=json.dumps(ids).encode())


def compare_ids(name, got, expected):
    """Notes a difference; the number of tokens."""
    if got != expected:
        at = first_difference(got, expected)
        differs(f"{name}: differs at token {at}: {got[max(0, at - 2):at + 4]}, expected {expected[max(0, at - 2):at + 4]}")
    return len(expected)


def compare(name, ours, encode, text):
    """`ours` beside encode(str)."""
    return compare_ids(name, ours.encode(text), encode(text.decode(errors="replace")))


def compare_each(name, ours, encode, texts, accept=None):
    """The same of many texts, each a str. accept(got, expected) gives what to expect of what was got, where more than one answer is
    right."""
    tokens = 0
    for text, got in zip(texts, ours.encode_each([text.encode() for text in texts]), strict=True):
        expected = encode(text)
        tokens += compare_ids(f"{name}: {text[:40]!r}", got, accept(got, expected) if accept else expected)
    return tokens


def compare_decoding(name, ours, encode, decode, text):
    ids = encode(text)
    if ours.decode(ids).decode(errors="replace") != decode(ids):
        differs(f"{name}: decoding differs")


def json_against_tokenizers(longspan, folder, name, state, separator):
    """A tokenizer.json against Hugging Face's tokenizers, on the odd texts and a manual."""
    model = folder / name.replace(" ", "-")
    model.mkdir()
    (model / "tokenizer.json").write_text(json.dumps(state))
    tokenizer = Tokenizer.from_str(json.dumps(state))
    theirs = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    ours = Ours(longspan, model)
    odd = separator.join([*ODD, *RUNS, *SPECIAL, *random_texts(60)])
    tokens = compare(f"{name}, odd texts", ours, theirs, odd.encode())
    tokens += compare_each(name, ours, theirs, (" x", "<s> x</s> y"))
    tokens += compare(f"{name}, a manual", ours, theirs, long_texts()[0][1])
    compare_decoding(name, ours, theirs, lambda ids: tokenizer.decode(ids, skip_special_tokens=False), odd)
    print(f"{name}: {tokens:,} tokens")
