"""Writes small tokenizer.json files (llama2 with the SentencePiece tokenizer.model that it is made from), trained on the
text below, and golden.json: what Hugging Face's tokenizers makes of odd texts with each of them.

python make_tokenizers.py     (in the folder of this file; made with tokenizers 0.23.3, sentencepiece 0.2.3 and
                               transformers 5.23.0)
"""
import base64
import io
import json
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from transformers.convert_slow_tokenizer import generate_merges
from tokenizers import AddedToken, Regex, Tokenizer, __version__, decoders, models, trainers
from tokenizers import pre_tokenizers as pre

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TEXT = """Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in
my purse, and nothing particular to interest me on shore, I thought I would sail about a little and
see the watery part of the world. It is a way I have of driving off the spleen and regulating the
circulation. Whenever I find myself growing grim about the mouth; whenever it is a damp, drizzly
November in my soul; whenever I find myself involuntarily pausing before coffin warehouses, and
bringing up the rear of every funeral I meet; and especially whenever my hypos get such an upper hand
of me, that it requires a strong moral principle to prevent me from deliberately stepping into the
street, and methodically knocking people's hats off, then I account it high time to get to sea as
soon as I can. This is my substitute for pistol and ball. With a philosophical flourish Cato throws
himself upon his sword; I quietly take to the ship. There's nothing surprising in this.
In 1851, 1900, 2024 and 123456 we'll, I'd, they've, you're, I'M, WE'LL; 3.14159 = \\pi, 10,000 %.
\\begin{equation} \\frac{a}{b} = \\sum_{n=1}^{\\infty} x_n^2 \\end{equation}
def encode(text):\n    return [ids[piece] for piece in split(text)]\n\n\n
Où est la bibliothèque? Äpfel, Öl, Übung, straße. Привет, мир! Ελληνικά. 日本語のテキスト 中文 한국어
"""
ADDED = [
    AddedToken("<|endoftext|>", special=True, normalized=False),
    AddedToken("<|end|>", special=True, normalized=False),
    AddedToken("<|end|>of", special=True, normalized=False),
    AddedToken("<left>", special=False, normalized=False, lstrip=True),
    AddedToken("<right>", special=False, normalized=True, rstrip=True),
    AddedToken("word", special=False, normalized=True, single_word=True),
    AddedToken("<both>", special=True, normalized=False, lstrip=True, rstrip=True),
]
TEXTS = [
    "", " ", "  ", "\n", "\n\n \n", "\t\t x", "a", "Hello world", " Hello  world   ", "hello\r\n\r\nworld",
    "I'll we've you're I'm he'd it's don't 'S 'LL I'M I\u2019m '\u017f", "1 12 123 1234 12345678 3.14159 1,000,000",
    "\u00bd \u2167 \u0663\u0664 \u096b \u00b2x\u00b3 \u2460", "x1y22z333 a1b2", "naïve café Äpfel straße ﬀ",
    "e\u0301 e\u0301\u0327 \u0301 a\u200db", "日本語のテキスト、中文。한국어", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f600\U0001f600",
    "\u00a0x\u00a0\u00a0y\u2003z\u3000w\u180ev\u0085u\u2028t", "\ufeffbom \ufffd \ufffe", "שלום עולם مرحبا بالعالم",
    "ไทยไม่มีวรรค हिन्दी தமிழ்", "\U0001e4d0\U00031350\U0002ebf0 \U00010d40 \u1c89\ua7cb \U00011de0 x\U00013460",
    "\\begin{equation} \\alpha_{1}^{2} + \\frac{a}{b} \\end{equation} % c\n\\\\[2pt]",
    "def f(x):\n    return x  # ok\n\n\n\tpass\n", "a" * 300, " " * 70 + "x", "ab" * 60 + "!" * 90, "\x00\x01\x7f\x1b[0m",
    "<|endoftext|>", "a<|endoftext|>b", "<|end|>of <|end|> of<|end|>", "<<|end|>>", "x  <left>  y", "x  <right>  y",
    " <both> <both>  z", "word words aword word. _word word1 'word' éword word\u0301 word", "<left><right><both>word",
    "<|endoftext", "<|endoftext|><|endoftext|> \n<|end|>",
    " x", "   x y    z", "\n\n    pass", "\u2581x \u2581\u2581 y\u2581", "<0x0A> \u2581<0xZZ>", "<s>a</s> b</s>  c <unk>", "the<word> x",
    "\u212b \u1e9b\u0323 a\u0316\u0301 a\u0301\u0316 \uac00\u11a8 \u0958 \ufb1d \U0001d15e", "a\u07fd\u0327 a\u0897\u0327",
    "x\u166dy \u2e43z\u1b7dq \U000111c9a\u1734\u1885 サーバー漢字かな한글 \u05d0A\u20bfB\u00adC\ufeff\u0085D衣\U0002b820E",
]
BYTES = [b"\xff", b"a\xc3", b"\xc3\x28", b"\xe2\x82", b"\xe2\x82z", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80\x80", b"\xed\xa0\x80",
         b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"ok \xe9t\xe9 ok", b"\xe0\x80\xaf", b"\xef\xbb\xbfx"]


def random_texts():
    draw = random.Random(3)
    letters = [*"aAzs' '  \n\r\t190.,!<|>_-\\", "é", "ß", "Ж", "中", "\u0301", "\u200d", "½", "\u00a0", "\U0001f600",
               " the", " of", "ing", "'s", "'LL", "word", "<left>", "<right>", "\u2028"]
    return ["".join(draw.choice(letters) for _ in range(60)) for _ in range(60)]


def train(pre_tokenizer, ignore_merges, alphabet, added):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + 600 if alphabet else 640, initial_alphabet=alphabet,
                                  show_progress=False, special_tokens=[ADDED[0]])
    tokenizer.train_from_iterator(TEXT.split("\n\n\n"), trainer)
    if ignore_merges:
        state = json.loads(tokenizer.to_str())
        state["model"]["ignore_merges"] = True
        state["model"]["vocab"]["\u0120zzyzx"] = len(state["model"]["vocab"])  # no merge gives it
        tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.add_tokens(added)
    return json.loads(tokenizer.to_str())


BLANK = "\u2581"
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
SPLIT = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}


def metaspace(scheme, split):
    return {"type": "Metaspace", "replacement": BLANK, "prepend_scheme": scheme, "split": split}


def train_sentencepiece():
    """A model like LLaMA 2's, and the tokenizer.json of it that transformers 4 made."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*TEXT.split("\n"), " x  y   z"] * 3), model_writer=file, model_type="bpe", vocab_size=700,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98,
        allow_whitespace_only_pieces=True, minloglevel=2, user_defined_symbols=["<word>"])
    model = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    pieces = [model.id_to_piece(i) for i in range(model.get_piece_size())]
    ordinary = [i for i, p in enumerate(pieces)
                if not (model.is_control(i) or model.is_unknown(i) or model.is_byte(i) or p == "<word>")]
    vocab = {pieces[i]: i for i in ordinary}
    merges = generate_merges(vocab, {pieces[i]: model.get_score(i) for i in ordinary})
    state = json.loads(Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", fuse_unk=True,
                                            byte_fallback=True)).to_str())
    state["added_tokens"] = [
        {"id": i, "content": pieces[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": pieces[i] != "<word>"} for i in range(4)]
    state["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": BLANK}, REPLACE]}
    state["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": BLANK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    with open("llama2/tokenizer.model", "wb") as out:
        out.write(file.getvalue())
    return model, state


def train_unigram():
    """A tokenizer.json of Unigram with byte fallback, as llm-jp's."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.split("\n") * 3), model_writer=file, model_type="unigram", vocab_size=470,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98,
        minloglevel=2, num_threads=1)
    model = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    vocab = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]
    state = json.loads(Tokenizer(models.Unigram(vocab, 0, True)).to_str())
    state["added_tokens"] = [
        {"id": i, "content": vocab[i][0], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True} for i in range(3)]
    state["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": BLANK}, REPLACE]}
    state["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": BLANK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return state


def split(pattern, behavior, invert=False, then=None):
    step = {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [step, then or {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]}}


BERT = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}


def then_bytes(step):
    """A space before each piece shows where it is cut."""
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        step, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}]}}


# The same tokenizers with other parts; ids of TEXTS alone. A key with "/" is the place of a part within.
def character_map():
    """A precompiled_charsmap of a few rules; three of them are of graphemes."""
    rules = {"A": "a", "e\u0301": "\u00e9", "\ufb00": "ff", "\u00bd": "1/2", "\u200d": "", "\ufeff": "", "\u00a0": " ",
             "I": "i", "I\u2019": "j", "\U0001f600": ":)", "\u2167": "VIII", "\r\n": "\n", "\u30c6": "te", "\u2460": "(1)"}
    trained = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        for sides in rules.items():
            file.write("\t".join(" ".join(f"{ord(c):X}" for c in side) for side in sides) + "\n")
        file.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c"] * 9), model_writer=trained, vocab_size=8, hard_vocab_limit=False,
            normalization_rule_tsv=file.name, minloglevel=2)
    spec = sentencepiece_model_pb2.ModelProto.FromString(trained.getvalue()).normalizer_spec
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(spec.precompiled_charsmap).decode()}


VARIANTS = {
    "metaspace_first": ("llama2", {"normalizer": None, "pre_tokenizer": metaspace("first", False)}),
    "metaspace_always": ("llama2", {"normalizer": None, "pre_tokenizer": metaspace("always", False)}),
    "metaspace_split": ("llama2", {"normalizer": None, "pre_tokenizer": metaspace("never", True)}),
    "gemma": ("llama2", {"normalizer": REPLACE, "pre_tokenizer": SPLIT}),
    "split": ("llama2", {"normalizer": None, "pre_tokenizer": SPLIT}),
    "nfc": ("smollm", {"normalizer": {"type": "NFC"}}),
    "normalized": ("llama2", {"added_tokens": [
        {"id": 700, "content": "word", "single_word": True, "lstrip": False, "rstrip": False, "normalized": True,
         "special": False},
        {"id": 701, "content": "e\u0301", "single_word": False, "lstrip": False, "rstrip": True, "normalized": True,
         "special": True}]}),
    "nfkc": ("smollm", {"normalizer": {"type": "NFKC"}}),
    "nfd": ("smollm", {"normalizer": {"type": "NFD"}}),
    "lowercase": ("smollm", {"normalizer": {"type": "Lowercase"}}),
    "accents": ("llama3", {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]}}),
    "nmt": ("gpt2", {"normalizer": {"type": "Nmt"}}),
    "precompiled": ("llama2", {"normalizer": {"type": "Sequence", "normalizers": [character_map(), REPLACE]}}),
    "strip": ("gpt2", {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": False}}),
    "replace_pattern": ("llama2", {"normalizer": {"type": "Sequence", "normalizers": [
        REPLACE, {"type": "Replace", "pattern": {"Regex": "\\A" + BLANK + "|\\p{L}\\p{M}"}, "content": "~"}]}}),
    **{f"split_{behavior}_{invert}": ("llama3", split({"Regex": LLAMA3 if invert else "\\s+|\\d"}, behavior, invert))
       for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous") for invert in (False, True)},
    "split_text": ("llama3", split({"String": "a."}, "MergedWithNext")),
    "split_nothing": ("llama3", split({"Regex": "(?=[A-Z])"}, "Isolated")),
    "split_empty_text": ("llama3", split({"String": ""}, "Contiguous")),
    "scripts": ("gpt2", then_bytes({"type": "UnicodeScripts"})),
    "bert": ("gpt2", then_bytes({"type": "BertPreTokenizer"}) | {"normalizer": BERT}),
    "bert_cased": ("gpt2", then_bytes({"type": "BertPreTokenizer"}) | {
        "normalizer": BERT | {"clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False}}),
    "punctuation_bytes": ("gpt2", then_bytes({"type": "Punctuation", "behavior": "MergedWithNext"})),
    "falcon": ("gpt2", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [  # as Falcon's own: steps behind ByteLevel
        {"type": "Punctuation", "behavior": "Contiguous"},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        {"type": "Digits", "individual_digits": False},
        {"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}, "behavior": "Isolated", "invert": False}]}}),
    "byte_names": ("gpt2", {"normalizer": {"type": "ByteLevel"}, "pre_tokenizer": {
        "type": "Split", "pattern": {"Regex": "\u0120?\\w+"}, "behavior": "Isolated", "invert": False}}),  # gpt2's decoder is ByteLevel
    "whitespace": ("llama2", {"normalizer": None, "pre_tokenizer": {"type": "Whitespace"}}),
    "whitespace_split": ("llama2", {"normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}}),
    "punctuation": ("llama2", {"normalizer": None, "pre_tokenizer": {"type": "Punctuation", "behavior": "Contiguous"}}),
    "delimiter": ("llama2", {"normalizer": None, "pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "o"}}),
    "fixed_length": ("llama2", {"normalizer": None, "pre_tokenizer": {"type": "FixedLength", "length": 3}}),
    "characters": ("llama2", {"/model/byte_fallback": False}),
    "characters_unfused": ("llama2", {"/model/byte_fallback": False, "/model/fuse_unk": False}),
    "no_unknown": ("llama2", {"/model/byte_fallback": False, "/model/unk_token": None}),
    "unigram_characters": ("unigram", {"/model/byte_fallback": False}),
    "unigram_words": ("unigram", {"normalizer": None, "pre_tokenizer": metaspace("always", True), "decoder": {
        "type": "Metaspace", "replacement": BLANK, "prepend_scheme": "always", "split": True}}),
}


def changed(state, changes):
    state = json.loads(json.dumps(state))
    for key, value in changes.items():
        part, *within = [k for k in key.split("/") if k]
        if within:
            state[part][within[0]] = value
        else:
            state[part] = value
    return state


def main():
    alphabet = sorted(pre.ByteLevel.alphabet())
    kinds = {
        "gpt2": train(pre.ByteLevel(add_prefix_space=True), False, alphabet, ADDED),
        "smollm": train(pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)]),
                        False, [], ADDED[:3]),
        "llama3": train(pre.Sequence([pre.Split(Regex(LLAMA3), "isolated"),
                                      pre.ByteLevel(add_prefix_space=False, use_regex=False)]), True, alphabet, ADDED),
    }
    model, kinds["llama2"] = train_sentencepiece()
    kinds["unigram"] = train_unigram()
    texts = [t.encode() for t in TEXTS + random_texts() + [TEXT, " zzyzx zzyzxs"]] + BYTES
    golden = {"tokenizers": __version__, "texts": [t.hex() for t in texts], "ids": {}}
    for kind, state in kinds.items():
        if kind == "smollm":  # the other way to write merges
            state["model"]["merges"] = [" ".join(m) for m in state["model"]["merges"]]
        text = json.dumps(state, ensure_ascii=False, separators=(",", ":"))
        with open(f"{kind}/tokenizer.json", "w") as file:
            file.write(text + "\n")
        tokenizer = Tokenizer.from_str(text)
        golden["ids"][kind] = [tokenizer.encode(t.decode(errors="replace"), add_special_tokens=False).ids for t in texts]
    for text, ids in zip(texts, golden["ids"]["llama2"]):
        text = text.decode(errors="replace")
        if not any(added in text for added in ("<s>", "</s>", "<unk>", "<word>")):
            assert model.encode(text) == ids, text
    golden["variants"] = {}
    for name, (kind, changes) in VARIANTS.items():
        tokenizer = Tokenizer.from_str(json.dumps(changed(kinds[kind], changes)))
        ids = [tokenizer.encode(t, add_special_tokens=False).ids for t in TEXTS]
        golden["variants"][name] = {"of": kind, "changes": changes, "ids": ids,
                                    "decoded": [tokenizer.decode(i, skip_special_tokens=False) for i in ids]}
    with open("golden.json", "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
