"""`longspan tokenize` against transformers and tokenizers, on odd Unicode and long texts, and back: SmolLM2's tokenizer.json
and GGUF; normalizers and pre-tokenizers on every character; added tokens of the files beside a tokenizer.json; vocab.json with
merges.txt.

python tokenizer_test.py --longspan build/longspan      exit code 77: skipped, with the reason
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

try:
    from tokenizers import Tokenizer, pre_tokenizers
    from transformers import AutoTokenizer

    from tokenizer_cases import (
        INVALID, ODD, RUNS, Ours, compare, compare_decoding, compare_each, finish_comparison, json_against_tokenizers,
        long_texts, random_texts,
    )
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

from program import checked, command_line
from smollm2 import gguf_path


def smollm2(longspan, folder):
    """The GGUF file and a folder of its tokenizer.json, against transformers."""
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
    compare_each("SmolLM2", from_json, theirs, [text.decode(errors="replace") for text in odd])
    for text in INVALID:
        compare(f"not UTF-8, {text}", from_json, theirs, text)
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
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    twice = {"type": "Sequence", "pretokenizers": [byte_level, byte_level | {"add_prefix_space": True}]}
    json_against_tokenizers(longspan, folder, "with ByteLevel twice", nfc | {"pre_tokenizer": twice}, "\n<|endoftext|>")


def every_character(longspan, folder):
    """Parts of tokenizer.json that look at characters, on all that Unicode has; a space before each piece shows the cuts."""
    state = json.loads((folder / "smollm2" / "tokenizer.json").read_text())
    points = [c for c in [*range(1, 0x33480), *range(0xE0000, 0xE0200), *range(0x10FFF0, 0x110000)] if not 0xD800 <= c < 0xE000]
    text = "".join(f"A{chr(c)}" for c in points)
    bert = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    cuts = [{"type": "Punctuation", "behavior": "Isolated"}, {"type": "UnicodeScripts"}, {"type": "BertPreTokenizer"},
                      {"type": "Digits", "individual_digits": True}, {"type": "Whitespace"}, {"type": "WhitespaceSplit"}]
    cuts += [{"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Removed", "invert": True}]
    normalizers = [bert | {key: True} for key in bert if key != "type"]
    normalizers += [{"type": kind} for kind in ("Lowercase", "StripAccents", "Nmt", "NFC", "NFKD", "ByteLevel")]
    for number, (part, step) in enumerate([*((s, "pre_tokenizer") for s in cuts), *((s, "normalizer") for s in normalizers)]):
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


def files_beside(longspan, folder):
    """Added tokens of the files beside tokenizer.json, and vocab.json with merges.txt, against AutoTokenizer."""
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
        "family": {"tokenizer_config.json": {"image_token": "<y>", "extra_special_tokens": ["<x>"]}},
        "model_specific": {"tokenizer_config.json": {"model_specific_special_tokens": {"image_token": "<x>"}}},
        "both": {"tokenizer_config.json": {"pad_token": "<y>"}, "special_tokens_map.json": {"pad_token": "<x>"}},
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
    for cls, family, named in (("GPT2Tokenizer", "gpt2", {}), ("GPT2Tokenizer", "gpt2", {"eos_token": "</s>", "unk_token": None}),
                               ("Qwen2Tokenizer", "qwen2", {}), ("Qwen2Tokenizer", "qwen2", {"eos_token": "<|im_end|>"})):
        model = folder / f"{cls}-{len(named)}"
        model.mkdir()
        (model / "vocab.json").write_text(json.dumps(state["model"]["vocab"]))
        (model / "merges.txt").write_text("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in state["model"]["merges"]))
        (model / "config.json").write_text(json.dumps({"model_type": family}))
        (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": cls} | named))
        tokenizer = AutoTokenizer.from_pretrained(model)
        odd = "\n<|endoftext|>".join([*ODD, *random_texts(40), text])
        tokens = compare(f"vocab.json and merges.txt, {cls}", Ours(longspan, model),
                         lambda t: tokenizer(t, add_special_tokens=False)["input_ids"], odd.encode())
        print(f"vocab.json and merges.txt, {cls}: {tokens:,} tokens")


def main():
    longspan = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as folder:
        smollm2(longspan, Path(folder))
        every_character(longspan, Path(folder))
        files_beside(longspan, Path(folder))
    finish_comparison()
    checked("tokenizer.json (byte-level BPE), in", "transformers", detail="SmolLM2")
    checked("tokenizer.json (NFC), in", "tokenizers")
    checked("added tokens beside tokenizer.json; vocab.json and merges.txt, in", "transformers")


if __name__ == "__main__":
    main()
