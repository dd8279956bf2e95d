"""`longspan tokenize` of SentencePiece's kinds of vocabulary: Mistral's tokenizer.model against the SentencePiece library and
transformers' LlamaTokenizer; tokenizer.json files made of it (LLaMA 2's, Gemma's form) and Unigram's against tokenizers;
models of all types, and one with tied scores, against the library.

python sentencepiece_test.py --longspan build/longspan      exit code 77: skipped, with the reason
"""

import functools
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

try:
    import mistral_common
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import AddedToken, AutoTokenizer, LlamaTokenizer
    from transformers.convert_slow_tokenizer import generate_merges

    from tokenizer_cases import (
        BLANK, ODD, RUNS, SPECIAL, Ours, compare, compare_decoding, compare_each, differs, finish_comparison,
        json_against_tokenizers, long_texts, random_texts,
    )
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

from program import checked, command_line

MISTRAL = Path(mistral_common.__file__).parent / "data" / "tokenizer.model.v1"


def vocabulary_of(path):
    """The library's processor, and vocabulary and merges as transformers makes them of its scores. (Its own way from
    tokenizer.model orders merges by id, which is not how SentencePiece cuts runs of spaces.)"""
    library = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces = [library.id_to_piece(i) for i in range(library.get_piece_size())]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    return library, vocabulary, generate_merges(vocabulary, {p: library.get_score(i) for i, p in enumerate(pieces)})


def added_bos(longspan, folder, model, library):
    """`prepare` begins a document with <s> where Hugging Face's tokenizer does, unless it is told not to."""
    text = "Two lines.\nThe other.\n"
    (folder / "lines.txt").write_text(text)
    for options, bos in (([], 1), (["--no-bos"], None), (["--add-bos"], 1)):
        command = [longspan, "prepare", folder / "lines.txt", "--model", model, "--out", folder / "lines.h5", "--force", "--json"]
        summary = json.loads(subprocess.run([*command, *options], check=True, capture_output=True).stdout)
        expected = {"bos_token_id": bos, "eos_token_id": None, "tokens": len(library.encode(text)) + (bos is not None)}
        if expected != {key: summary[key] for key in expected}:
            differs(f"prepare {options}: {summary} instead of {expected}")


def mistral(longspan, folder):
    """A tokenizer.model alone against the library, with LlamaTokenizer's keys against that class, and as tokenizer.json."""
    library, vocabulary, merges = vocabulary_of(MISTRAL)
    alone = folder / "mistral"
    alone.mkdir()
    shutil.copy(MISTRAL, alone / "tokenizer.model")
    ours = Ours(longspan, alone)
    odd = "\n".join([*ODD, *RUNS, *random_texts(100)])
    tokens = compare("tokenizer.model, odd texts", ours, library.encode, odd.encode())
    compare_each("tokenizer.model", ours, library.encode, [*ODD, *RUNS[:12]])
    # The library takes 5 s for a megabyte.
    manual = next(text for _, text in long_texts() if len(text) < 500000)
    tokens += compare("tokenizer.model, a manual", ours, library.encode, manual)
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
        tokens = compare_each(f"LlamaTokenizer {keys}", Ours(longspan, model), theirs, texts)
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
    llama_named_gemma(longspan, folder, state | {"normalizer": prepend, "pre_tokenizer": None}, [*texts, "<pad> x <mask>y"])


def llama_named_gemma(longspan, folder, state, texts):
    """A llama model whose tokenizer_config.json names GemmaTokenizer: AutoTokenizer makes that of the vocabulary."""
    model = folder / "named-gemma"
    model.mkdir()
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    for file, content in (("tokenizer.json", state), ("config.json", {"model_type": "llama"}),
                          ("tokenizer_config.json", {"tokenizer_class": "GemmaTokenizer", **names})):  # fmt: skip
        (model / file).write_text(json.dumps(content))
    tokenizer = AutoTokenizer.from_pretrained(model)
    theirs = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    tokens = compare_each("GemmaTokenizer on llama", Ours(longspan, model), theirs, texts)
    print(f"GemmaTokenizer on llama: {tokens:,} tokens")


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
    lines = train_text()
    texts = [*ODD, *RUNS, *random_texts(), "\n".join(lines[:300])]
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
        # 0.2.3 rounds sums otherwise than 0.1.97 and takes another of ways with equal scores.
        accept = functools.partial(equally_good, library) if name.startswith("unigram") else None
        tokens = compare_each(f"SentencePiece, {name}", ours, library.encode, texts, accept)
        print(f"SentencePiece, {name}: {tokens:,} tokens")


def extended_sentencepiece(longspan, folder):
    """Mistral's vocabulary with Chinese pieces added as Chinese-LLaMA's were, all of the score 0."""
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(MISTRAL.read_bytes())
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
    library = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
    text = "".join(draw.choice(letters + " ，。\nab") for _ in range(20000))
    tokens = compare("tied scores", Ours(longspan, model), library.encode, text.encode())
    print(f"tied scores: {tokens:,} tokens")


def unigram(longspan, folder):
    """A tokenizer.json of Unigram as llm-jp's, against tokenizers."""
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


def main():
    longspan = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as folder:
        mistral(longspan, Path(folder))
        sentencepiece_models(longspan, Path(folder))
        extended_sentencepiece(longspan, Path(folder))
        unigram(longspan, Path(folder))
    finish_comparison()
    checked("tokenizer.json (LLaMA 2's and Gemma's form of byte-fallback BPE), in", "tokenizers")
    checked("tokenizer.model (SentencePiece BPE), in", "sentencepiece", detail="Mistral 7B v0.1; with Chinese pieces of tied scores")
    checked("tokenizer.model (SentencePiece Unigram, BPE, words, characters; tables of characters), in", "sentencepiece")
    checked("tokenizer.json (Unigram, with and without byte fallback), in", "tokenizers")
    checked("tokenizer.model (SentencePiece BPE), in", "transformers", detail="LlamaTokenizer: legacy, add_prefix_space")


if __name__ == "__main__":
    main()
