"""Prefill and decoding tokens/s of longspan and of llama.cpp (PyPI xllamacpp) in turn, from one GGUF in one weight type.

    python tools/bench/decoding.py MODEL.gguf TEXT [--longspan build/longspan] [--prompts 512,4096] [--rounds 3]

Each round runs longspan, then llama.cpp, greedily, on all cores; a prompt is the first tokens of TEXT. llama.cpp has its own
defaults: flash attention where it chooses it, a cache in float16.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "end_to_end"))
import llama_cpp_model as peer  # noqa: E402

NEW_TOKENS = 128


class LlamaCpp:
    def __init__(self, path):
        params = peer.llama.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = peer.llama.llama_model_load_from_file(str(path).encode(), params)
        self.vocab = peer.llama.llama_model_get_vocab(self.model)
        self.tokenize = peer.LlamaCppModel.tokenize.__get__(self)

    def rates(self, ids):
        params = peer.llama.llama_context_default_params()
        params.n_ctx = len(ids) + NEW_TOKENS + 8
        params.n_batch, params.n_ubatch = len(ids), 512
        params.n_threads = params.n_threads_batch = os.cpu_count()
        context = peer.llama.llama_init_from_model(self.model, params)
        batch = peer.llama.llama_batch_init(len(ids), 0, 1)

        def decode(tokens, first):
            batch.n_tokens = len(tokens)
            for i, token in enumerate(tokens):
                batch.token[i], batch.pos[i], batch.logits[i] = token, first + i, i + 1 == len(tokens)
                batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
            assert peer.llama.llama_decode(context, batch) == 0
            logits = peer.llama.llama_get_logits(context)
            return int(peer.np.ctypeslib.as_array(logits, shape=(size,)).argmax())

        size = peer.llama.llama_vocab_n_tokens(self.vocab)
        begin = time.perf_counter()
        token = decode(ids, 0)
        first = time.perf_counter()
        for i in range(NEW_TOKENS):
            token = decode([token], len(ids) + i)
        end = time.perf_counter()
        peer.llama.llama_batch_free(batch)
        peer.llama.llama_free(context)
        return len(ids) / (first - begin), NEW_TOKENS / (end - first)


def longspan_rates(program, model, prompt):
    said = subprocess.run([program, "generate", model, "--file", prompt, "--max-new-tokens", str(NEW_TOKENS)],
                          capture_output=True, text=True, check=True).stderr
    tokens, seconds, decoding = re.search(r"prompt (\d+) tokens in ([\d.]+) s.*, ([\d.]+) tokens/s", said).groups()
    return int(tokens) / float(seconds), float(decoding)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--longspan", default="build/longspan")
    parser.add_argument("--prompts", default="512,4096")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    theirs = LlamaCpp(args.model)
    text = Path(args.text).read_text(errors="replace")
    rows = []
    for length in map(int, args.prompts.split(",")):
        cut = 8 * length
        while len(ids := theirs.tokenize(text[:cut])) > length:
            cut = min(cut - 1, cut * length // len(ids))
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as prompt:
            prompt.write(text[:cut])
            prompt.flush()
            found = [(longspan_rates(args.longspan, args.model, prompt.name), theirs.rates(ids))
                     for _ in range(args.rounds)]
        for i, what in enumerate(("prefill", "decoding")):
            ours, other = ([pair[who][i] for pair in found] for who in (0, 1))
            rows.append({"prompt_tokens": length, "what": what, "longspan": ours, "llama.cpp": other,
                         "ratio": statistics.median(a / b for a, b in zip(ours, other))})
            print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
