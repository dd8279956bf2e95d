"""Focused memory through the real binary: a folder of model_type longllama as it is, and a LLaMA with --attention.

    python focused_memory_test.py --longspan build/longspan

The results of LongLLaMA's own code are in tests/reference/longllama (long_llama bfcb8d1, transformers 4.33.2).
"""

import json
import random
import shutil
import tempfile
from pathlib import Path

from program import command_line, finish, refusal, run
from safetensors.numpy import load_file
from tokenizers import Tokenizer, decoders, models

REFERENCE = Path(__file__).parent.parent / "reference" / "longllama"


def write_tokenizer(folder):
    """Token i is the character i + 256."""
    vocabulary = {chr(256 + i): i for i in range(320)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.save(str(folder / "tokenizer.json"))


def text_of(ids):
    return "".join(chr(256 + int(i)) for i in ids)


def check_logits(binary, folder):
    for model in ("a", "b"):
        golden = load_file(REFERENCE / model / "expected.safetensors")
        for tokens in (16, 32, 101, 192):
            ids, out = folder / "ids.json", folder / "logits.safetensors"
            ids.write_text(json.dumps(golden[f"ids.{tokens}"].tolist()))
            run(binary, "logits", REFERENCE / model, "--ids", ids, "--out", out, "--dtype", "float32")
            difference = abs(load_file(out)["logits"] - golden[f"logits.{tokens}"]).max()
            assert difference < 1e-5, (model, tokens, difference)
    print("logits of LongLLaMA's own code")


def check_generate(binary, folder):
    for model in ("a", "b"):
        golden = load_file(REFERENCE / model / "expected.safetensors")
        copy = folder / model
        shutil.copytree(REFERENCE / model, copy)
        write_tokenizer(copy)
        prompt, new = text_of(golden["greedy.prompt"]), text_of(golden["greedy.new"])
        out = run(binary, "generate", copy, "--prompt", prompt, "--max-new-tokens", 64, "--dtype", "float32")
        assert out.rstrip("\n") == new, (model, out, new)

        saved = folder / f"{model}.memory"
        options = [copy, "--dtype", "float32", "--max-new-tokens", 20]
        run(binary, "generate", *options, "--prompt", prompt, "--save-memory", saved)
        first, second = (run(binary, "generate", *options, "--prompt", new[:3], "--memory", saved) for _ in range(2))
        assert first == second == new[3:23] + "\n", (first, second, new)
        typed = folder / "prompt.txt"
        typed.write_text(prompt)
        assert run(binary, "generate", *options, "--file", typed) == new[:20] + "\n"
        drawn = [run(binary, "generate", *options, "--prompt", prompt, "--temperature", 2, "--seed", seed) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2], drawn
        told = refusal(binary, "generate", *options, "--prompt", new[:3], "--memory", saved, "--quantization", "int8", code=8)
        assert 'was read with another quantization ("none"; here "int8")' in told, told
        other = folder / "a" if model == "b" else None
        if other:
            told = refusal(binary, "generate", other, "--dtype", "float32", "--prompt", prompt, "--memory", saved, code=8)
            assert "was read with another weights" in told, told
    print("greedy text of LongLLaMA's own code, and memory saved and loaded")


def check_attention_option(binary, folder):
    """Without memory a LongLLaMA is a plain LLaMA, and a LLaMA with --attention is a LongLLaMA."""
    llama = folder / "llama"
    shutil.copytree(REFERENCE / "a", llama)
    write_tokenizer(llama)
    config = json.loads((llama / "config.json").read_text())
    config["model_type"] = "llama"
    for key in ("architectures", "mem_layers", "mem_dtype", "mem_positionals", "last_context_length"):
        del config[key]
    (llama / "config.json").write_text(json.dumps(config))
    golden = load_file(REFERENCE / "a" / "expected.safetensors")
    ids, out = folder / "ids.json", folder / "logits.safetensors"
    ids.write_text(json.dumps(golden["ids.101"].tolist()))
    pattern = "{pattern: focused_memory, mem_layers: [1], window: 32, last_context_length: 12, mem_dtype: float32}"
    run(binary, "logits", llama, "--ids", ids, "--out", out, "--dtype", "float32", "--attention", pattern)
    assert abs(load_file(out)["logits"] - golden["logits.101"]).max() < 1e-5
    plain = [run(binary, "logits", model, "--ids", ids, "--out", out, "--attention", "full") and None
             or load_file(out)["logits"] for model in (llama, REFERENCE / "a")]
    assert (plain[0] == plain[1]).all()

    told = refusal(binary, "logits", llama, "--ids", ids, "--out", out, "--attention",
                   "{pattern: focused_memory, mem_layers: [3]}", code=5)
    assert "mem_layers has 3, and the model's layers are 0 to 2" in told, told
    told = refusal(binary, "generate", llama, "--prompt", "x", "--save-memory", folder / "x", code=2)
    assert "--save-memory: is for focused memory" in told, told
    print("--attention on a LLaMA, and what does not fit it")


def check_arms(binary, folder):
    """The arm on a LLaMA reads as the LongLLaMA of the same weights, whose own keys hold where none are given."""
    text = folder / "text.txt"
    text.write_text(text_of(random.Random(1).choices(range(3, 320), k=200)))
    window = ["window=32", "last_context_length=12", "mem_dtype=float32"]

    def losses(model, arms, settings):
        settings = [word for setting in settings for word in ("--set", setting)]
        told = run(binary, "eval", model, "--arm", arms, "--lengths", 160, "--targets", 16, "--text", text, "--dtype", "float32",
                   "--json", *settings)
        return {row["arm"]: row["nll"] for row in json.loads(told)["tasks"][0]["rows"]}

    own = losses(folder / "a", "full,focused_memory,none=focused_memory", ["none.mem_layers=[]"])
    keys = [f"{arm}.{key}" for arm in ("far", "none") for key in window]
    plain = losses(folder / "llama", "far=focused_memory,none=focused_memory", [*keys, "far.mem_layers=[1]", "none.mem_layers=[]"])
    assert own["full"] == own["focused_memory"] == plain["far"], (own, plain)
    assert own["none"] == plain["none"] != own["full"], (own, plain)
    evaluation = ["eval", folder / "llama", "--arm", "focused_memory", "--lengths", 160, "--targets", 16, "--text", text]
    told = refusal(binary, *evaluation, code=2)
    assert "has no memory of its own; name layers of 0 to 2" in told, told
    told = refusal(binary, *evaluation, "--set", "focused_memory.mem_layers=[3]", code=2)
    assert "mem_layers has 3, and the model's layers are 0 to 2" in told, told
    print("the arm focused_memory, on a LLaMA and on a LongLLaMA")


def check_gguf(binary, folder):
    """A GGUF is the plain LLaMA, and says so."""
    out = folder / "a.gguf"
    told = finish(binary, "convert", REFERENCE / "a", out, "--type", "F32").stderr
    assert "llama.cpp has no focused memory: it will read the model as a plain LLaMA of 32 tokens" in told, told
    ids = folder / "ids.json"
    ids.write_text(json.dumps(list(range(3, 35))))
    logits = []
    for model in (out, folder / "llama"):
        run(binary, "logits", model, "--ids", ids, "--out", folder / "logits.safetensors", "--dtype", "float32")
        logits.append(load_file(folder / "logits.safetensors")["logits"])
    assert abs(logits[0] - logits[1]).max() < 1e-5
    print("a GGUF of a LongLLaMA")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as folder:
        check_logits(binary, Path(folder))
        check_generate(binary, Path(folder))
        check_attention_option(binary, Path(folder))
        check_arms(binary, Path(folder))
        check_gguf(binary, Path(folder))


if __name__ == "__main__":
    main()
