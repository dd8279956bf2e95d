"""What `longspan prepare` and its like do with texts and ids that a vocabulary does not expect: special tokens in plain text,
characters without a token, ids that the model does not embed, embeddings without a token; against transformers.

    python vocabulary_test.py --longspan build/longspan
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

try:
    import torch
    from safetensors.torch import load_file, save_file
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer

    from gguf_cases import STORY, tiny_model
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from program import checked, command_line, finish, refusal, run


def model_folder(folder, vocab_size=300, alphabet=True):
    """A tiny model with a byte-level tokenizer.json of <s>, </s> and, without `alphabet`, the bytes of STORY alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([STORY], trainers.BpeTrainer(
        vocab_size=290, show_progress=False, special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else []))
    model = tiny_model("Llama", dict(vocab_size=vocab_size, max_position_embeddings=512))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return model, tokenizer


def prepare(binary, work, model, text, *options, code=0):
    (work / "text.txt").write_text(text)
    done = finish(binary, "prepare", work / "text.txt", "--model", model, "--out", work / "store.h5", "--force", "--json",
                  "--no-bos", "--no-eos", *options, code=code)
    return (json.loads(done.stdout) if code == 0 else None), done.stderr


def check_special_tokens(binary, work):
    model_folder(work / "whole")
    text = "the manual says </s> and <s>, then </s>"
    theirs = AutoTokenizer.from_pretrained(work / "whole")
    for options, split in (([], False), (["--split-special-tokens"], True)):
        summary, said = prepare(binary, work, work / "whole", text, *options)
        assert summary["tokens"] == len(theirs(text, split_special_tokens=split)["input_ids"]), summary
        assert summary["special_tokens_in_text"] == ({} if split else {"</s>": 2, "<s>": 1}), summary
        assert ("special tokens 3 times" in said) == (not split), said
    checked("special tokens in a text, as tokens or as text", "transformers")


def check_lost_characters(binary, work):
    model_folder(work / "gaps", alphabet=False)
    summary, said = prepare(binary, work, work / "gaps", "the quiet \u5408 harbour \u5408 \u540c")
    assert summary["characters_without_token"] == {"\u5408": 2, "\u540c": 1}, summary
    assert "3 characters have no token" in said and "'\u5408' (2)" in said, said
    _, said = prepare(binary, work, work / "gaps", "the quiet \u5408", "--strict", code=4)
    assert "1 characters have no token" in said, said
    prepare(binary, work, work / "gaps", "the quiet harbour", "--strict")


def check_ids_beyond(binary, work):
    """A tokenizer with more ids than the embeddings: a text without them is as any other."""
    model, tokenizer = model_folder(work / "few", vocab_size=290)
    tokenizer.add_tokens([AddedToken("<tool>", special=True)])
    tokenizer.save(str(work / "few" / "tokenizer.json"))
    _, said = prepare(binary, work, work / "few", "the quiet harbour")
    assert "291 ids and the model 290 embeddings" in said, said
    _, said = prepare(binary, work, work / "few", "the quiet <tool> harbour", code=4)
    assert "text.txt" in said and "'<tool>', has the id 290" in said, said
    said = finish(binary, "generate", work / "few", "--prompt", "the quiet", "--max-new-tokens", "2", errors="replace").stderr
    assert "291 ids and the model 290 embeddings" in said, said
    assert "'<tool>', has the id 290" in refusal(binary, "generate", work / "few", "--prompt", "a<tool>", code=4)


def check_rows_without_token(binary, work):
    """The model likes a padded row best of all, and generate does not choose it."""
    model, tokenizer = model_folder(work / "padded", vocab_size=300)
    ids = tokenizer.encode("the quiet").ids
    with torch.no_grad():
        hidden = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
    file = work / "padded" / "model.safetensors"
    tensors = load_file(file)
    tensors["lm_head.weight"][295] = 100 * hidden
    save_file(tensors, file, {"format": "pt"})
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1]
    expected = tokenizer.decode([int(logits[:tokenizer.get_vocab_size()].argmax())])
    made = run(binary, "generate", work / "padded", "--prompt", "the quiet", "--max-new-tokens", "1", "--dtype", "float32", errors="replace")
    assert made == expected + "\n", (made, expected)
    (work / "ids.json").write_text(json.dumps([*ids, 295, 299, ids[0]]))
    text = run(binary, "tokenize", work / "padded", work / "ids.json", "--decode")
    assert text == "the quiet" + tokenizer.decode([ids[0]]), text


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        for check in (check_special_tokens, check_lost_characters, check_ids_beyond, check_rows_without_token):
            check(binary, Path(temporary))
            print(check.__name__, "ok")


if __name__ == "__main__":
    main()
