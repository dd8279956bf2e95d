"""`longspan tokenize` against the software each tokenizer comes from, on odd Unicode and whole books, and back:
SmolLM2's tokenizer.json and GGUF against transformers; Mistral's SentencePiece tokenizer.model against the SentencePiece
library and transformers' LlamaTokenizer; tokenizer.json files made of it (LLaMA 2's, Gemma's form) against tokenizers;
SentencePiece models of all types against the library, Unigram also as tokenizer.json and through a GGUF; added tokens of
the files beside a tokenizer.json, and vocab.json with merges.txt, against transformers; normalizers and pre-tokenizers on every
character against tokenizers.

python tokenizer_test.py --longspan build/longspan      exit code 77: skipped, with the reason
"""
import gzip
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from program import checked, command_line
from smollm2 import gguf_path

ROOT = Path(__file__).resolve().parents[2]
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

failures = 0


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

    def decode(self, ids):
        return self.run("-", "--decode", input=json.dumps(ids).encode())


def compare(name, ours, encode, text):
    """Counts a failure where `ours` and encode(str) differ; the number of tokens."""
    global failures
    got, expected = ours.encode(text), encode(text.decode(errors="replace"))
    if got != expected:
        at = first_difference(got, expected)
        print(f"{name}: differs at token {at}: {got[max(0, at - 2):at + 4]}, expected {expected[max(0, at - 2):at + 4]}")
        failures += 1
    return len(expected)


def compare_decoding(name, ours, encode, decode, text):
    global failures
    ids = encode(text)
    if ours.decode(ids).decode(errors="replace") != decode(ids):
        print(f"{name}: decoding differs")
        failures += 1


def smollm2(longspan, folder):
    """The GGUF file and a folder of its tokenizer.json, against transformers."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer
    gguf = gguf_path()
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    # transformers' GGUF reader leaves out the Digits of SmolLM2's own tokenizer.json.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model = folder / "smollm2"
    model.mkdir()
    tokenizer.backend_tokenizer.save(str(model / "tokenizer.json"))
    theirs = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]

    # One text a line, so that one start of the program serves all: the pieces of a text end at "\n<|endoftext|>".
    odd = [t.encode() for t in ODD + RUNS] + INVALID + [t.encode() for t in random_texts()]
    joined = b"\n<|endoftext|>".join(odd)
    from_gguf, from_json = Ours(longspan, gguf), Ours(longspan, model)
    tokens = compare("odd Unicode, from the GGUF", from_gguf, theirs, joined)
    compare("odd Unicode, from tokenizer.json", from_json, theirs, joined)
    for i, text in enumerate(odd[:8] + INVALID):
        compare(f"odd text {i}", from_json, theirs, text)
    print(f"SmolLM2: {len(odd)} odd texts, {len(joined):,} bytes, {tokens:,} tokens")
    texts = long_texts()
    total = sum(compare(name, from_json, theirs, text) for name, text in texts)
    print(f"SmolLM2: {len(texts)} long texts, {sum(len(text) for _, text in texts):,} bytes, {total:,} tokens")
    compare_decoding("SmolLM2", from_gguf, theirs, lambda ids: tokenizer.decode(ids, clean_up_tokenization_spaces=False),
                     joined[:20000].decode(errors="ignore"))

    # Qwen's normalizer, on this vocabulary.
    nfc = json.loads((model / "tokenizer.json").read_text())
    nfc["normalizer"] = {"type": "NFC"}
    json_against_tokenizers(longspan, folder, "with NFC", nfc, "\n<|endoftext|>")


def json_against_tokenizers(longspan, folder, name, state, separator):
    """A tokenizer.json against Hugging Face's tokenizers, on the odd texts and a book."""
    from tokenizers import Tokenizer
    model = folder / name.replace(" ", "-")
    model.mkdir()
    (model / "tokenizer.json").write_text(json.dumps(state))
    tokenizer = Tokenizer.from_str(json.dumps(state))
    theirs = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    ours = Ours(longspan, model)
    odd = separator.join([*ODD, *RUNS, *SPECIAL, *random_texts(60)])
    tokens = compare(f"{name}, odd texts", ours, theirs, odd.encode())
    tokens += sum(compare(f"{name}: {text!r}", ours, theirs, text.encode()) for text in (" x", "<s> x</s> y"))
    tokens += compare(f"{name}, a book", ours, theirs, long_texts()[0][1])
    compare_decoding(name, ours, theirs, lambda ids: tokenizer.decode(ids, skip_special_tokens=False), odd)
    print(f"{name}: {tokens:,} tokens")


def every_character(longspan, folder):
    """Parts of tokenizer.json that look at characters, on all that Unicode has; a space before each piece shows the cuts."""
    from tokenizers import Tokenizer
    state = json.loads((folder / "smollm2" / "tokenizer.json").read_text())
    points = [c for c in [*range(1, 0x33480), *range(0xE0000, 0xE0200), *range(0x10FFF0, 0x110000)] if not 0xD800 <= c < 0xE000]
    text = "".join(f"A{chr(c)}" for c in points)
    bert = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    pre_tokenizers = [{"type": "Punctuation", "behavior": "Isolated"}, {"type": "UnicodeScripts"}, {"type": "BertPreTokenizer"},
                      {"type": "Digits", "individual_digits": True}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}]
    pre_tokenizers += [{"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Removed", "invert": True}]
    normalizers = [bert | {key: True} for key in bert if key != "type"]
    normalizers += [{"type": kind} for kind in ("Lowercase", "StripAccents", "Nmt", "NFC", "NFKD", "ByteLevel")]
    for number, (part, step) in enumerate([*((s, "pre_tokenizer") for s in pre_tokenizers), *((s, "normalizer") for s in normalizers)]):
        then = [part] if step == "pre_tokenizer" else []
        changed = state | {"normalizer": part if step == "normalizer" else None, "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [
                *then, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}]}}
        model = folder / f"characters-{number}"
        model.mkdir()
        (model / "tokenizer.json").write_text(json.dumps(changed))
        tokenizer = Tokenizer.from_str(json.dumps(changed))
        tokens = compare(f"every character: {part}", Ours(longspan, model), lambda t: tokenizer.encode(t, add_special_tokens=False).ids,
                         text.encode())
        print(f"every character, {part['type']}: {tokens:,} tokens")


def vocabulary_of(path):
    """The library's processor, and vocabulary and merges as transformers makes them of its scores. (Its own way from
    tokenizer.model orders merges by id, which is not how SentencePiece cuts runs of spaces.)"""
    import sentencepiece
    from transformers.convert_slow_tokenizer import generate_merges
    library = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = [library.id_to_piece(i) for i in range(library.get_piece_size())]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    return library, vocabulary, generate_merges(vocabulary, {p: library.get_score(i) for i, p in enumerate(pieces)})


def added_bos(longspan, folder, model, library):
    """`prepare` begins a document with <s> where Hugging Face's tokenizer does, unless it is told not to."""
    global failures
    text = "Two lines.\nThe other.\n"
    (folder / "lines.txt").write_text(text)
    for options, bos in (([], 1), (["--no-bos"], None), (["--add-bos"], 1)):
        command = [longspan, "prepare", folder / "lines.txt", "--model", model, "--out", folder / "lines.h5", "--force", "--json"]
        summary = json.loads(subprocess.run([*command, *options], check=True, capture_output=True).stdout)
        expected = {"bos_token_id": bos, "eos_token_id": None, "tokens": len(library.encode(text)) + (bos is not None)}
        if expected != {key: summary[key] for key in expected}:
            failures += 1
            print("prepare", options, summary, "instead of", expected)


def mistral(longspan, folder):
    """A tokenizer.model alone against the library, with LlamaTokenizer's keys against that class, and as tokenizer.json."""
    from transformers import AddedToken, LlamaTokenizer
    data = Path(importlib.util.find_spec("mistral_common").origin).parent / "data"
    v1 = data / "tokenizer.model.v1"
    library, vocabulary, merges = vocabulary_of(v1)
    alone = folder / "mistral"
    alone.mkdir()
    shutil.copy(v1, alone / "tokenizer.model")
    ours = Ours(longspan, alone)
    odd = "\n".join([*ODD, *RUNS, *random_texts(100)])
    tokens = compare("tokenizer.model, odd texts", ours, library.encode, odd.encode())
    for text in [*ODD[-8:], *RUNS[:6]]:
        compare(f"tokenizer.model: {text!r}", ours, library.encode, text.encode())
    # The library takes 5 s for a megabyte.
    book = next(text for _, text in long_texts() if len(text) < 500000)
    tokens += compare("tokenizer.model, a book", ours, library.encode, book)
    print(f"tokenizer.model against the SentencePiece library: {tokens:,} tokens")

    added_bos(longspan, folder, alone, library)

    special = [AddedToken(library.id_to_piece(i), normalized=False, special=True) for i in range(3)]
    texts = [*SPECIAL, " x", "  x", odd + "</s>" + odd[:1000]]
    for keys in ({}, {"legacy": True}, {"add_prefix_space": False}):
        model = folder / f"llama-{'-'.join(keys)}"
        shutil.copytree(alone, model)
        (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", **keys}))
        tokenizer = LlamaTokenizer(vocab=dict(vocabulary), merges=merges, additional_special_tokens=special, **keys)
        theirs = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens = sum(compare(f"LlamaTokenizer {keys}: {text[:40]!r}", Ours(longspan, model), theirs, text.encode())
                     for text in texts)
        if not keys:
            tokens += sum(compare(name, Ours(longspan, model), theirs, text) for name, text in long_texts()[:3])
        compare_decoding(f"LlamaTokenizer {keys}", Ours(longspan, model), theirs,
                         lambda ids: tokenizer.decode(ids, clean_up_tokenization_spaces=False), odd)
        print(f"LlamaTokenizer {keys}: {tokens:,} tokens")

    state = json.loads(tokenizer.backend_tokenizer.to_str())
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    prepend = {"type": "Prepend", "prepend": BLANK}
    split = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    json_against_tokenizers(longspan, folder, "LLaMA 2's form", state | {
        "normalizer": {"type": "Sequence", "normalizers": [prepend, replace]}, "pre_tokenizer": None}, "\n")
    json_against_tokenizers(longspan, folder, "Gemma's form", state | {"normalizer": replace, "pre_tokenizer": split}, "\n")


def train_text():
    return [line for line in long_texts()[0][1].decode(errors="replace").split("\n") if line.strip()][:3000]


def equally_good(library, ids, expected):
    """`ids` where their pieces are as many, of the same text and of the same scores as those expected."""
    if len(ids) != len(expected) or library.decode(ids) != library.decode(expected):
        return expected
    score = lambda some: sum(library.get_score(i) for i in some)
    return ids if abs(score(ids) - score(expected)) < 1e-6 * max(1, len(ids)) else expected


def sentencepiece_models(longspan, folder):
    """Models of each type, with tables of characters and without, against the library of Python."""
    import io
    import sentencepiece
    lines = train_text()
    odd = [*ODD, *RUNS[:60], *random_texts(30), "\n".join(lines[:300])]
    kinds = {"unigram, nfkc": dict(model_type="unigram", vocab_size=2000),
             "unigram, bytes": dict(model_type="unigram", vocab_size=2000, byte_fallback=True, normalization_rule_name="identity",
                                    remove_extra_whitespaces=False),
             "BPE, nfkc_cf": dict(model_type="bpe", vocab_size=2000, normalization_rule_name="nmt_nfkc_cf"),
             "BPE, user-defined": dict(model_type="bpe", vocab_size=2000, byte_fallback=True, user_defined_symbols=["vim", " the "],
                                       split_digits=True, remove_extra_whitespaces=False),
             "characters": dict(model_type="char", vocab_size=200), "words": dict(model_type="word", vocab_size=2000),
             "suffix": dict(model_type="bpe", vocab_size=1000, treat_whitespace_as_suffix=True)}
    for name, options in kinds.items():
        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=file, minloglevel=2, num_threads=1,
                                                 hard_vocab_limit=False, **options)
        model = folder / name.replace(", ", "-").replace(" ", "-")
        model.mkdir()
        (model / "tokenizer.model").write_bytes(file.getvalue())
        library = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
        ours = Ours(longspan, model)
        encode = library.encode
        if name.startswith("unigram"):  # 0.2.3 rounds sums otherwise than 0.1.97 and takes another of ways with equal scores
            encode = lambda text: equally_good(library, ours.encode(text.encode()), library.encode(text))
        tokens = sum(compare(f"SentencePiece, {name}: {text[:30]!r}", ours, encode, text.encode()) for text in odd)
        print(f"SentencePiece, {name}: {tokens:,} tokens")


def extended_sentencepiece(longspan, folder):
    """Mistral's vocabulary with Chinese pieces added as Chinese-LLaMA's were, all of the score 0."""
    from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
    data = Path(importlib.util.find_spec("mistral_common").origin).parent / "data"
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((data / "tokenizer.model.v1").read_bytes())
    draw = random.Random(5)
    letters = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生"
    known = {piece.piece for piece in proto.pieces}
    for _ in range(1500):
        piece = "".join(draw.choice(letters) for _ in range(draw.choice((2, 2, 2, 3, 4))))
        if piece not in known:
            known.add(piece)
            proto.pieces.add(piece=piece, score=0, type=1)
    model = folder / "extended"
    model.mkdir()
    (model / "tokenizer.model").write_bytes(proto.SerializeToString())
    library = SentencePieceProcessor(model_proto=proto.SerializeToString())
    text = "".join(draw.choice(letters + " ，。\nab") for _ in range(20000))
    tokens = compare("tied scores", Ours(longspan, model), library.encode, text.encode())
    print(f"tied scores: {tokens:,} tokens")


def unigram(longspan, folder):
    """A tokenizer.json of Unigram as llm-jp's, against tokenizers."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    for name, byte_fallback in (("Unigram", False), ("Unigram with byte fallback", True)):
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
        trainer = trainers.UnigramTrainer(vocab_size=1500, show_progress=False, unk_token="<unk>", special_tokens=["<unk>", "<s>", "</s>"])
        tokenizer.train_from_iterator(train_text(), trainer)
        state = json.loads(tokenizer.to_str())
        if byte_fallback:
            state["model"]["vocab"] += [[f"<0x{byte:02X}>", 0.0] for byte in range(256)]
            state["model"]["byte_fallback"] = True
        tokenizer = Tokenizer.from_str(json.dumps(state))
        tokenizer.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        json_against_tokenizers(longspan, folder, name, json.loads(tokenizer.to_str()), "\n")
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.normalizer = normalizers.NFKC()
        json_against_tokenizers(longspan, folder, name + " of words", json.loads(tokenizer.to_str()), "\n")


def files_beside(longspan, folder):
    """Added tokens of the files beside tokenizer.json, and vocab.json with merges.txt, against AutoTokenizer."""
    from transformers import AutoTokenizer
    state = json.loads((folder / "smollm2" / "tokenizer.json").read_text())
    text = "a  <x> b<y>c </s> <|im_end|>  d"
    token = lambda content, **flags: {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False,
                                      "special": True} | flags
    cases = {
        "decoder": {"tokenizer_config.json": {"added_tokens_decoder": {"60000": token("<y>", rstrip=True), "50000": token("<x>", lstrip=True),
                                                                       "2": token("<|im_end|>", rstrip=True)}}},
        "added_tokens": {"added_tokens.json": {"<y>": 50001, "<x>": 50000}, "special_tokens_map.json": {"pad_token": "<x>"}},
        "map": {"special_tokens_map.json": {"pad_token": token("<x>", lstrip=True), "sep_token": "<y>"}},
        "config": {"tokenizer_config.json": {"pad_token": "<x>", "split_special_tokens": True}},
        "unlisted": {"tokenizer_config.json": {"additional_special_tokens": ["<y>", "<x>"]}},
    }
    for name, files in cases.items():
        model = folder / f"beside-{name}"
        model.mkdir()
        (model / "tokenizer.json").write_text(json.dumps(state))
        (model / "config.json").write_text(json.dumps({"model_type": "llama"}))
        files.setdefault("tokenizer_config.json", {})["tokenizer_class"] = "PreTrainedTokenizerFast"
        for file, content in files.items():
            (model / file).write_text(json.dumps(content))
        tokenizer = AutoTokenizer.from_pretrained(model)
        compare(f"beside tokenizer.json: {name}", Ours(longspan, model), lambda t: tokenizer(t, add_special_tokens=False)["input_ids"],
                text.encode())
    for cls, family in (("GPT2Tokenizer", "gpt2"), ("Qwen2Tokenizer", "qwen2")):
        model = folder / cls
        model.mkdir()
        (model / "vocab.json").write_text(json.dumps(state["model"]["vocab"]))
        (model / "merges.txt").write_text("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in state["model"]["merges"]))
        (model / "config.json").write_text(json.dumps({"model_type": family}))
        (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": cls, "eos_token": "<|endoftext|>"}))
        tokenizer = AutoTokenizer.from_pretrained(model)
        odd = "\n<|endoftext|>".join([*ODD, *random_texts(40)])
        tokens = compare(f"vocab.json and merges.txt, {cls}", Ours(longspan, model),
                         lambda t: tokenizer(t, add_special_tokens=False)["input_ids"], odd.encode())
        print(f"vocab.json and merges.txt, {cls}: {tokens:,} tokens")


def main():
    longspan = command_line().parse_args().longspan
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    try:
        import google.protobuf, mistral_common, sentencepiece, tokenizers, transformers  # noqa: F401
    except ImportError as error:
        skip(f"{error}; tools/test.sh installs what is missing")
    with tempfile.TemporaryDirectory() as folder:
        smollm2(longspan, Path(folder))
        every_character(longspan, Path(folder))
        mistral(longspan, Path(folder))
        sentencepiece_models(longspan, Path(folder))
        extended_sentencepiece(longspan, Path(folder))
        unigram(longspan, Path(folder))
        files_beside(longspan, Path(folder))
    print("differences:", failures)
    if failures == 0:
        checked("tokenizer.json (byte-level BPE), in", "transformers", detail="SmolLM2")
        checked("tokenizer.json (NFC; LLaMA 2's and Gemma's form of byte-fallback BPE), in", "tokenizers")
        checked("tokenizer.model (SentencePiece BPE), in", "sentencepiece", detail="Mistral 7B v0.1; with Chinese pieces of tied scores")
        checked("tokenizer.model (SentencePiece Unigram, BPE, words, characters; tables of characters), in", "sentencepiece")
        checked("tokenizer.json (Unigram, with and without byte fallback), in", "tokenizers")
        checked("added tokens beside tokenizer.json; vocab.json and merges.txt, in", "transformers")
        checked("tokenizer.model (SentencePiece BPE), in", "transformers", detail="LlamaTokenizer: legacy, add_prefix_space")
    sys.exit(failures != 0)


main()
