"""Prefill and decoding tokens/s of longspan and of llama.cpp (PyPI xllamacpp) in turn, from one GGUF in one weight type, and with
--folder the prefill of transformers with SDPA in bfloat16 too.

    python tools/bench/decoding.py MODEL.gguf TEXT [--folder MODEL] [--longspan build/longspan] [--prompts 512,4096] [--rounds 3]

Each round runs longspan, then llama.cpp, then transformers, greedily, on all cores; a prompt is the first tokens of TEXT. llama.cpp has
its own defaults: flash attention where it chooses it, a cache in float16.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "end_to_end"))
try:
    from llama_cpp_model import LlamaCppModel  # noqa: E402
except ImportError as missing:
    sys.exit(f"decoding.py: {missing}; tools/test.sh makes a Python that has it: .venv-test/bin/python")

NEW_TOKENS = 128


def llama_cpp_rates(model, ids):
    with LlamaCppModel(model, len(ids) + NEW_TOKENS, exact=False) as theirs:
        begin = time.perf_counter()
        token = int(theirs.logits(ids, only_last=True).argmax())
        first = time.perf_counter()
        for i in range(NEW_TOKENS):
            token = int(theirs.logits([token], len(ids) + i, only_last=True).argmax())
        end = time.perf_counter()
    return len(ids) / (first - begin), NEW_TOKENS / (end - first)


def first_tokens(model, text, length):
    """The beginning of the text that has `length` tokens, or a few less, and their ids."""
    with LlamaCppModel(model) as theirs:
        cut = 8 * length
        while len(ids := theirs.tokenize(text[:cut])) > length:
            cut = min(cut - 1, cut * length // len(ids))
    return text[:cut], ids


def transformers_prefill_rate(folder, ids):
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    with torch.inference_mode():
        begin = time.perf_counter()
        model(torch.tensor([ids]), use_cache=True, logits_to_keep=1)
        return len(ids) / (time.perf_counter() - begin)


def longspan_rates(program, model, prompt):
    said = subprocess.run([program, "generate", model, "--file", prompt, "--max-new-tokens", str(NEW_TOKENS)],
                          capture_output=True, text=True, check=True).stderr
    tokens, seconds, decoding = re.search(r"prompt (\d+) tokens in ([\d.]+) s.*, ([\d.]+) tokens/s", said).groups()
    return int(tokens) / float(seconds), float(decoding)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--folder", help="the same model for transformers")
    parser.add_argument("--longspan", default="build/longspan")
    parser.add_argument("--prompts", default="512,4096")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    text = Path(args.text).read_text(errors="replace")
    rows = []
    for length in map(int, args.prompts.split(",")):
        beginning, ids = first_tokens(args.model, text, length)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as prompt:
            prompt.write(beginning)
            prompt.flush()
            found = [(longspan_rates(args.longspan, args.model, prompt.name), llama_cpp_rates(args.model, ids),
                      transformers_prefill_rate(args.folder, ids) if args.folder else None)
                     for _ in range(args.rounds)]  # fmt: skip
        for i, what in enumerate(("prefill", "decoding")):
            ours, other = ([of_round[who][i] for of_round in found] for who in (0, 1))
            row = {"prompt_tokens": length, "what": what, "longspan": ours, "llama.cpp": other,
                   "ratio": statistics.median(a / b for a, b in zip(ours, other))}  # fmt: skip
            if args.folder and what == "prefill":
                row["transformers"] = [of_round[2] for of_round in found]
                row["ratio_to_transformers"] = statistics.median(a / b for a, b in zip(ours, row["transformers"]))
            rows.append(row)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
