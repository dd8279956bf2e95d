"""GGUF of each family and RoPE scaling: llama.cpp and transformers compute what we do, also of a split one.

    python gguf_families_test.py --longspan build/longspan
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")

try:
    import numpy as np
    import torch
    from gguf import GGUFReader, GGUFWriter

    from gguf_cases import our_logits, tiny_model
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from llama_cpp_model import PACKAGE, WHY_NOT, LlamaCppModel, end_of_checks
from program import checked, command_line, float32_bound, refusal, run

YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
FACTORS = {"short_factor": [1.0, 1.0, 1.1, 1.2, 1.3, 1.5, 2.0, 2.5], "long_factor": [1.0, 1.1, 1.5, 2.0, 3.0, 3.5, 4.0, 4.5]}
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 32, "factor": 4.0, **FACTORS}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}

MODELS = {
    "llama": ("Llama", {}),
    "llama with biases, tied": ("Llama", dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "llama, head_dim 32": ("Llama", dict(head_dim=32)),
    "llama linear": ("Llama", dict(rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0})),
    "llama yarn": ("Llama", dict(rope_parameters=YARN)),
    "llama yarn, attention_factor": ("Llama", dict(rope_parameters={**YARN, "attention_factor": 1.3})),
    "llama yarn, mscale": ("Llama", dict(rope_parameters={**YARN, "mscale": 0.7, "mscale_all_dim": 1.2})),
    "llama yarn, other betas": ("Llama", dict(rope_parameters={**YARN, "beta_fast": 8.0, "beta_slow": 2.0,
                                                               "truncate": False})),
    "llama llama3": ("Llama", dict(rope_parameters=LLAMA3)),
    "llama llama3, other bands": ("Llama", dict(rope_parameters={**LLAMA3, "low_freq_factor": 0.5,
                                                                 "high_freq_factor": 3.0})),
    "llama longrope": ("Llama", dict(rope_parameters=LONGROPE)),
    "mistral": ("Mistral", dict(sliding_window=None)),
    "qwen2": ("Qwen2", {}),
    "qwen2 yarn": ("Qwen2", dict(rope_parameters=YARN)),
    "qwen3": ("Qwen3", dict(head_dim=32)),
    "qwen3 yarn": ("Qwen3", dict(head_dim=16, rope_parameters=YARN)),
    "smollm3": ("SmolLM3", {}),
    "smollm3 yarn": ("SmolLM3", dict(rope_parameters=YARN)),
    "phi3": ("Phi3", {}),
    "phi3 longrope": ("Phi3", dict(original_max_position_embeddings=32, rope_parameters=LONGROPE)),
    "gemma3, sliding window": ("Gemma3", dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=16, num_hidden_layers=7,
                                              tie_word_embeddings=True)),
    # llama.cpp takes 62 layers for the 27B, whose scores it scales by hidden_size over heads.
    "gemma3, 62 layers": ("Gemma3", dict(head_dim=32, query_pre_attn_scalar=16, sliding_window=16, num_hidden_layers=62,
                                         tie_word_embeddings=True)),
}


def check_families(binary, work):
    ids = [(37 * i + i // 7) % 96 for i in range(100)]  # longer than every original length
    for name, (kind, options) in MODELS.items():
        folder = work / name.replace(" ", "-")
        model = tiny_model(kind, options)
        model.save_pretrained(folder)
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits[0].numpy()
        file = folder.with_suffix(".gguf")
        run(binary, "convert", folder, file)
        ours = our_logits(binary, file, ids, work)
        rope_type = options.get("rope_parameters", {}).get("rope_type", "default")
        line = f"{name}: ours from the GGUF differs from transformers' by {np.abs(ours - theirs).max():.2g}"
        bound = float32_bound(theirs, model.config, len(ids))
        assert np.abs(ours - theirs).max() < bound, line
        checked("GGUF in", "transformers", kind.lower(), rope_type, name)
        if not WHY_NOT:
            with LlamaCppModel(file, n_ctx=128) as loaded:
                difference = np.abs(loaded.logits(ids) - theirs).max()
            line += f", llama.cpp's by {difference:.2g}"
            # llama.cpp looks GELU up in a table of float16.
            assert difference < (0.02 if kind == "Gemma3" else bound), line
            checked("GGUF out", PACKAGE, kind.lower(), rope_type, name)
        print(line, f"(logits up to {np.abs(theirs).max():.3g})")


def refuses(binary, work, name, rope, words, kind="Llama"):
    folder = work / name
    tiny_model(kind, dict(rope_parameters=rope)).save_pretrained(folder)
    assert words in refusal(binary, "convert", folder, work / "no.gguf", code=5)
    assert not (work / "no.gguf").exists()


def check_refusals(binary, work):
    refuses(binary, work, "dynamic", {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}, "rope_type ntk")
    refuses(binary, work, "qwen2-betas", {**YARN, "beta_fast": 8.0}, "beta_fast 32", kind="Qwen2")
    print("dynamic NTK, and YaRN's betas in qwen2, are refused")


def check_split(binary, work):
    """The parts that gguf-py makes of a file are the file."""
    file = work / "llama.gguf"
    whole = GGUFReader(file)
    writer = GGUFWriter(work / "split.gguf", "llama", split_max_tensors=15)
    for key, field in whole.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            writer.add_key_value(key, field.contents(), field.types[0], field.types[-1])
    for tensor in whole.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(work.glob("split-*.gguf"))
    assert len(parts) == 3, parts
    ids = [(37 * i + i // 7) % 96 for i in range(100)]
    assert np.array_equal(our_logits(binary, parts[0], ids, work), our_logits(binary, file, ids, work))
    assert f"give the first, {parts[0]}" in refusal(binary, "convert", parts[1], work / "no", code=5)
    checked("split GGUF (NAME-00001-of-0000N.gguf), in", "gguf")
    print(f"{len(parts)} parts of a split GGUF: logits equal those of the whole")


def main():
    binary = command_line().parse_args().longspan
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        check_families(binary, work)
        check_refusals(binary, work)
        check_split(binary, work)
    end_of_checks()


if __name__ == "__main__":
    main()
