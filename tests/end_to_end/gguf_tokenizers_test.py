"""Tokenizers in GGUFs: the folder that `longspan convert` makes, and the GGUF it makes of that, cut texts as llama.cpp
and sentencepiece cut them.

    python gguf_tokenizers_test.py --longspan build/longspan
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

try:
    from gguf import GGUFReader, GGUFWriter
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer

    from gguf_cases import STORY, TEXTS, tiny_model
    from tokenizer_cases import Ours
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from llama_cpp_model import PACKAGE, WHY_NOT, LlamaCppModel, end_of_checks
from program import checked, command_line, run


def write_gguf(path, weights, tokenizer):
    """A GGUF with the weights and llama.* keys of another and the tokenizer that `tokenizer(writer)` adds."""
    writer = GGUFWriter(path, "llama")
    for key, field in weights.fields.items():
        if key.startswith("llama."):
            writer.add_key_value(key, field.contents(), field.types[0])
    tokenizer(writer)
    for tensor in weights.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tiny_weights(binary, work, vocab_size):
    name = f"llama-{vocab_size}"
    tiny_model("Llama", dict(vocab_size=vocab_size, max_position_embeddings=8192)).save_pretrained(work / name)
    run(binary, "convert", work / name, work / f"{name}.gguf")
    return GGUFReader(work / f"{name}.gguf")


def check_there_and_back(binary, work, file, texts, expected=None):
    """The folder that we make of a GGUF, and the GGUF that we make of the folder, cut texts as the first does."""
    folder, again = file.with_suffix(""), file.with_suffix(".again.gguf")
    run(binary, "convert", file, folder)
    run(binary, "convert", folder, again)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not WHY_NOT:
        with LlamaCppModel(file) as theirs, LlamaCppModel(again) as ours:
            for text in texts:
                ids = theirs.tokenize(text, True)
                assert ours.tokenize(text, True) == ids, (file.name, text)
                if text:
                    assert tokenizer(text)["input_ids"] == ids, (file.name, text, tokenizer(text)["input_ids"], ids)
    for text in texts if expected else []:
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == expected(text), (file.name, text)
    return tokenizer


def check_pre_tokenizers(binary, work):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>", "<s>", "</s>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    trained.train_from_iterator([STORY] * 2 + TEXTS * 2, trainer)
    vocab, merges = trained.get_vocab(), json.loads(trained.to_str())["model"]["merges"]
    size = len(vocab)
    weights = tiny_weights(binary, work, size)
    ascii_texts = [STORY, "I'll WE'VE HelloWorld XMLHttp 12345 3.14159\n\n  x\ty   \r\n!?;: (a+b)=c // end  "]
    pres = ["gpt-2", "smollm", "llama-bpe", "smaug-bpe", "qwen2", "stablelm2", "tekken", "gpt-4o", "default"]
    for pre in pres:

        def add_tokenizer(writer):
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre(pre)
            writer.add_token_list(sorted(vocab, key=vocab.get))
            writer.add_token_types([3 if i < 3 else 1 for i in range(size)])
            writer.add_token_merges([" ".join(merge) for merge in merges])
            writer.add_bos_token_id(1)
            writer.add_eos_token_id(2)

        file = work / f"pre-{pre}.gguf"
        write_gguf(file, weights, add_tokenizer)
        # llama.cpp writes the letter cases of these two otherwise, alike for ASCII.
        texts = ascii_texts if pre in ("tekken", "gpt-4o") else ascii_texts + [t for t in TEXTS if "<|" not in t]
        check_there_and_back(binary, work, file, texts)
        again = GGUFReader(file.with_suffix(".again.gguf"))
        assert again.fields["tokenizer.ggml.pre"].contents() == pre
    if not WHY_NOT:
        checked("tokenizers of GGUFs (pre " + ", ".join(pres) + "), in and out", PACKAGE)
    print(f"{', '.join(pres)}: ids after GGUF -> folder -> GGUF equal llama.cpp's of the first")


def check_sentencepiece(binary, work):
    try:
        import sentencepiece
    except ImportError as missing:
        print(f"SentencePiece: not checked: {missing}")
        return
    (work / "corpus.txt").write_text("\n".join([STORY] + TEXTS))
    sentencepiece.SentencePieceTrainer.train(
        input=str(work / "corpus.txt"), model_prefix=str(work / "tokenizer"), vocab_size=420, model_type="bpe",
        byte_fallback=True, character_coverage=0.98, split_digits=True, normalization_rule_name="identity",
        remove_extra_whitespaces=False, add_dummy_prefix=True, minloglevel=2)
    model = sentencepiece.SentencePieceProcessor(model_file=str(work / "tokenizer.model"))
    size = model.vocab_size()

    def add_tokenizer(writer):  # as llama.cpp's converter
        ids = range(size)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([model.id_to_piece(i) for i in ids])
        writer.add_token_scores([model.get_score(i) for i in ids])
        writer.add_token_types(
            [2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1 for i in ids])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)

    write_gguf(work / "spm.gguf", tiny_weights(binary, work, size), add_tokenizer)
    texts = [t for t in TEXTS if "<|" not in t] + [STORY, "a\nb", "x\ty  z", "日本", "harbour" * 40]
    tokenizer = check_there_and_back(binary, work, work / "spm.gguf", texts, model.encode)
    assert tokenizer.decode(model.encode("a  b日")) == "a  b日"
    for package in ["sentencepiece"] + [PACKAGE] * (not WHY_NOT):
        checked("tokenizer of a GGUF (SentencePiece), in and out", package)
    print(f"SentencePiece: ids of {len(texts)} texts equal {'' if WHY_NOT else 'llama.cpp and '}sentencepiece")


def our_ids(binary, model, texts):
    """Of each text."""
    return Ours(binary, model).encode_each([text.encode() for text in texts])


def check_tied_scores(binary, work):
    """Pieces of one score, as those that were added to LLaMA's vocabulary: the leftmost pair first."""
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)] + [(f"<0x{byte:02X}>", 0, 6) for byte in range(256)]
    pieces += [(letter, -float(i + 1), 1) for i, letter in enumerate("\u2581abcdefg123.")]
    pieces += [(piece, 0, 1) for piece in ("ab", "bc", "cd", "abc", "bcd", "de", "ef", "1.", ".1", ".2", "2.", "abcd", "\u2581a")]

    def add_tokenizer(writer):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list([piece for piece, _, _ in pieces])
        writer.add_token_scores([float(score) for _, score, _ in pieces])
        writer.add_token_types([kind for _, _, kind in pieces])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)

    write_gguf(work / "tied.gguf", tiny_weights(binary, work, len(pieces)), add_tokenizer)
    if WHY_NOT:
        return
    with LlamaCppModel(work / "tied.gguf") as theirs:
        texts = ["abcdef", "bcdefabcd", "1.2.1.2", "a ab abcd bcd", "gfedcba", "abcabcdeabcdef.1.2.1.1"]
        expected = [[i for i in theirs.tokenize(text, True) if i != 1] for text in texts]
        assert our_ids(binary, work / "tied.gguf", texts) == expected
    checked("tokenizer of a GGUF (SentencePiece), in and out", PACKAGE, detail="tied scores")
    print("tied scores: ids equal llama.cpp's")


def check_unigram(binary, work):
    """A tokenizer.json of Unigram as a GGUF, and the folder of that."""
    from tokenizers import decoders, normalizers
    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    trained.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trained.train_from_iterator(
        [STORY] * 3 + TEXTS * 3, trainers.UnigramTrainer(vocab_size=400, show_progress=False, unk_token="<unk>",
                                                         special_tokens=["<unk>", "<s>", "</s>"]))
    size = trained.get_vocab_size()
    folder = work / "unigram"
    tiny_model("Llama", dict(vocab_size=size + 3, max_position_embeddings=8192)).save_pretrained(folder)
    trained.save(str(folder / "tokenizer.json"))
    run(binary, "convert", folder, work / "unigram.gguf")
    run(binary, "convert", work / "unigram.gguf", work / "unigram-again")
    again = Tokenizer.from_file(str(work / "unigram-again" / "tokenizer.json"))
    texts = [text for text in TEXTS if "<|" not in text] + [STORY, "a\nb", "harbour" * 40]
    expected = [trained.encode(text).ids for text in texts]
    assert [again.encode(text).ids for text in texts] == expected
    for model in (folder, work / "unigram.gguf", work / "unigram-again"):
        assert our_ids(binary, model, texts) == expected, model
    if not WHY_NOT:
        with LlamaCppModel(work / "unigram.gguf") as theirs:
            for text in (STORY, "The quick brown fox", "In 1984, twice!"):
                assert theirs.tokenize(text, False) == trained.encode(text).ids, text
        checked("tokenizer of a GGUF (Unigram), in and out", PACKAGE)
    checked("tokenizer of a GGUF (Unigram), in and out", "tokenizers")
    print(f"Unigram: ids of {len(texts)} texts equal tokenizers' from the folder, its GGUF and the folder of that")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        check_pre_tokenizers(binary, work)
        check_sentencepiece(binary, work)
        check_tied_scores(binary, work)
        check_unigram(binary, work)
    end_of_checks()


if __name__ == "__main__":
    main()
