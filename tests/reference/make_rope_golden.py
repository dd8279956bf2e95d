"""Writes rope_golden.json: inv_freq and attention factor as transformers computes them.

    .venv-test/bin/python tests/reference/make_rope_golden.py
"""

import json
from pathlib import Path

import transformers
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

GEOMETRIES = {
    "SmolLM2": dict(head_dim=64, rope_theta=100000.0, max_position_embeddings=8192),
    "Llama-2": dict(head_dim=128, rope_theta=10000.0, max_position_embeddings=4096),
    "Llama-3": dict(head_dim=128, rope_theta=500000.0, max_position_embeddings=8192),
    "odd": dict(head_dim=10, rope_theta=1234.5, max_position_embeddings=333),
}


def scalings(geometry):
    """What is tried on each geometry: (rope_parameters, max_position_embeddings in config.json)."""
    length, pairs = geometry["max_position_embeddings"], geometry["head_dim"] // 2
    original = {"original_max_position_embeddings": length}
    short = [round(1 + 0.01 * i, 4) for i in range(pairs)]
    long = [round(1 + 0.37 * i, 4) for i in range(pairs)]
    lists = {"short_factor": short, "long_factor": long}
    yarn = {"rope_type": "yarn", "factor": 4.0, **original}
    frequency = {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return [
        ({"rope_type": "default"}, length),
        ({"rope_type": "linear", "factor": 1.0}, length),
        ({"rope_type": "linear", "factor": 2.5}, length),
        ({"rope_type": "dynamic", "factor": 2.0}, length),
        ({"rope_type": "dynamic", "factor": 7.3}, length),
        (yarn, 4 * length),
        ({"rope_type": "yarn", "factor": 2.0}, length),
        ({"rope_type": "yarn", "factor": 1.0, **original}, length),
        ({"rope_type": "yarn", "factor": None, **original}, 3 * length),
        ({**yarn, "attention_factor": 1.25}, 4 * length),
        ({**yarn, "beta_fast": 20.0, "beta_slow": 2.0}, 4 * length),
        ({**yarn, "truncate": False}, 4 * length),
        ({**yarn, "mscale": 0.707, "mscale_all_dim": 1.0}, 4 * length),
        ({**yarn, "mscale": 0.707}, 4 * length),
        ({**yarn, "original_max_position_embeddings": 32}, 128),
        ({"rope_type": "longrope", **lists, **original}, 4 * length),
        ({"rope_type": "longrope", **lists, **original, "factor": 16.0}, 4 * length),
        ({"rope_type": "longrope", **lists, **original, "attention_factor": 1.1}, 4 * length),
        ({"rope_type": "llama3", "factor": 8.0, **frequency, **original}, 8 * length),
        ({"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 0.5, "high_freq_factor": 9.0,
          **original}, 32 * length),
    ]  # fmt: skip


def frequencies(config, rope_type, seq_len):
    compute = ROPE_INIT_FUNCTIONS.get(rope_type, LlamaRotaryEmbedding.compute_default_rope_parameters)
    inv_freq, attention_factor = compute(config, device="cpu", seq_len=seq_len)
    return {
        "seq_len": seq_len,
        # Nine digits give the float32 back exactly.
        "inv_freq": [float(f"{value:.9g}") for value in inv_freq.tolist()],
        "attention_factor": float(attention_factor),
    }


def main():
    transformers.logging.set_verbosity_error()
    cases = []
    for model, geometry in GEOMETRIES.items():
        length = geometry["max_position_embeddings"]
        for parameters, max_position_embeddings in scalings(geometry):
            rope_type = parameters["rope_type"]
            config = LlamaConfig(
                head_dim=geometry["head_dim"],
                hidden_size=2 * geometry["head_dim"],
                num_attention_heads=2,
                max_position_embeddings=max_position_embeddings,
                rope_parameters={"rope_theta": geometry["rope_theta"], **parameters},
            )
            depends_on_length = rope_type in ("dynamic", "longrope")
            lengths = [length // 2, length, length + 1, 3 * length] if depends_on_length else [length]
            cases.append(
                {
                    "model": model,
                    "geometry": {**geometry, "max_position_embeddings": max_position_embeddings},
                    "rope_parameters": parameters,
                    "frequencies": [frequencies(config, rope_type, n) for n in lengths],
                }
            )
    golden = {"made_by": f"transformers {transformers.__version__}", "cases": cases}
    path = Path(__file__).parent / "rope_golden.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
