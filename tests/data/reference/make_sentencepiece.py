"""Writes small SentencePiece models of each type and sentencepiece.json: the ids that the library makes of odd texts.

python make_sentencepiece.py     (in the folder of this file; made with sentencepiece 0.2.0: of ways to cut a text whose scores are
                                 equal, 0.2.3 takes another for Unigram than all before it and Debian's 0.1.97)
"""
import io
import json
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb

from make_tokenizers import TEXT, TEXTS

# A table of characters, as nmt_nfkc is one: a ligature, the blank of East Asia, letters of full width, one that vanishes.
TABLE = "FB01\t66 69\n3000\t20\nFF21\t41\nFF21 FF22\t41 42\n200B\t\nA0\t20\n"


def train(**options):
    file = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        table.write(TABLE)
        table.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT.split("\n") * 3), model_writer=file, minloglevel=2, num_threads=1,
            hard_vocab_limit=False, normalization_rule_tsv=table.name, **options)
    model = pb.ModelProto()
    model.ParseFromString(file.getvalue())
    return model


def tied():
    """A vocabulary that was added to as Chinese-LLaMA's: each added piece has the score 0."""
    model = train(model_type="bpe", vocab_size=380, byte_fallback=True, remove_extra_whitespaces=False)
    model.normalizer_spec.precompiled_charsmap = b""
    for piece in ("\u2581the", "the", "he\u2581", "of\u2581the", "ing", "in", "11", "111", "1.", ".1", "日本", "本語", "日本語の"):
        if piece not in {p.piece for p in model.pieces}:
            model.pieces.add(piece=piece, score=0, type=1)
    return model


def unused():
    model = train(model_type="bpe", vocab_size=400, byte_fallback=True, user_defined_symbols=["<word>", "ing"])
    for piece in [p for p in model.pieces if len(p.piece) == 3 and p.type == 1][::2]:
        piece.type = 5
    return model


MODELS = {
    "bpe": lambda: train(model_type="bpe", vocab_size=300),
    "bpe_tied": tied,
    "bpe_unused": unused,
    "unigram": lambda: train(model_type="unigram", vocab_size=300, user_defined_symbols=["<word>"]),
    "unigram_bytes": lambda: train(model_type="unigram", vocab_size=470, byte_fallback=True, add_dummy_prefix=False),
    "suffix": lambda: train(model_type="unigram", vocab_size=300, treat_whitespace_as_suffix=True),
    "char": lambda: train(model_type="char", vocab_size=100),
    "word": lambda: train(model_type="word", vocab_size=120),
}


def main():
    texts = [*TEXTS, "\ufb01n\ufb01  \uff21\uff22\uff21 a\u200bb\u00a0c\u3000", "the of the 111.1.11 日本語の日本", "   "]
    golden = {"sentencepiece": sentencepiece.__version__, "texts": texts, "ids": {}}
    for name, make in MODELS.items():
        model = make().SerializeToString()
        with open(f"sentencepiece/{name}.model", "wb") as file:
            file.write(model)
        golden["ids"][name] = sentencepiece.SentencePieceProcessor(model_proto=model).encode(texts)
    with open("sentencepiece.json", "w") as file:
        json.dump(golden, file, separators=(",", ":"))
        file.write("\n")


main()
