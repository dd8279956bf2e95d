"""Writes rope_golden.json: inv_freq and attention factor as transformers computes them.

    .venv-test/bin/python tests/reference/make_rope_golden.py
"""

import json
from pathlib import Path

import transformers
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.phi3.modeling_phi3 import Phi3RotaryEmbedding

GEOMETRIES = {
    "SmolLM2": dict(head_dim=64, rope_theta=100000.0, max_position_embeddings=8192),
    "Llama-2": dict(head_dim=128, rope_theta=10000.0, max_position_embeddings=4096),
    "Llama-3": dict(head_dim=128, rope_theta=500000.0, max_position_embeddings=8192),
    "odd": dict(head_dim=10, rope_theta=1234.5, max_position_embeddings=333),
}

QWEN = dict(head_dim=128, rope_theta=1000000.0)
PHI = {"short_factor": [1.0 + 0.002 * i for i in range(48)], "long_factor": [1.05 * 1.09**i for i in range(48)]}
DEEPSEEK = {"factor": 40, "beta_fast": 32, "beta_slow": 1, "original_max_position_embeddings": 4096}
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}

# As the config.json of released models say it: (head_dim, rope_theta, max_position_embeddings), rope_parameters.
FAMILIES = {
    "Qwen2.5 (model card)": (
        dict(**QWEN, max_position_embeddings=32768),
        {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    ),
    "Qwen3 (model card)": (
        dict(**QWEN, max_position_embeddings=40960),
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
    ),
    "gpt-oss": (
        dict(head_dim=64, rope_theta=150000.0, max_position_embeddings=131072),
        {"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False,
         "original_max_position_embeddings": 4096},
    ),
    "DeepSeek-V3": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=163840),
        {"type": "yarn", **DEEPSEEK, "mscale": 1.0, "mscale_all_dim": 1.0},
    ),
    "mscale of two sizes": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=163840),
        {"type": "yarn", **DEEPSEEK, "mscale": 0.707, "mscale_all_dim": 0.5},
    ),
    "mscale_all_dim alone": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=163840),
        {"type": "yarn", **DEEPSEEK, "mscale_all_dim": 0.707},
    ),
    "attention_factor before mscale": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=163840),
        {"type": "yarn", **DEEPSEEK, "mscale": 0.707, "mscale_all_dim": 0.5, "attention_factor": 0.9},
    ),
    "betas of nothing, no truncation": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=163840),
        {"type": "yarn", **DEEPSEEK, "beta_fast": None, "beta_slow": 0, "truncate": False},
    ),
    "no truncation at the first dimension": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=256),
        {"rope_type": "yarn", "factor": 4.0, "truncate": False, "original_max_position_embeddings": 64},
    ),
    "Llama-3.2": (
        dict(head_dim=64, rope_theta=500000.0, max_position_embeddings=131072),
        {"rope_type": "llama3", "factor": 32.0, **LLAMA3},
    ),
    "Phi-3-mini-128k": (
        dict(head_dim=96, rope_theta=10000.0, max_position_embeddings=131072),
        {"rope_type": "longrope", **PHI, "original_max_position_embeddings": 4096},
    ),
    "Phi-4-mini": (
        dict(head_dim=128, rope_theta=10000.0, max_position_embeddings=131072, partial_rotary_factor=0.75),
        {"rope_type": "longrope", **PHI, "original_max_position_embeddings": 4096},
    ),
    "a fourth of the head": (
        dict(head_dim=80, rope_theta=10000.0, max_position_embeddings=2048, partial_rotary_factor=0.25),
        {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 2048},
    ),
    "a part that is cut off": (
        dict(head_dim=90, rope_theta=10000.0, max_position_embeddings=2048, partial_rotary_factor=0.25),
        {"rope_type": "linear", "factor": 2.0},
    ),
    "a part, dynamic": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=2048, partial_rotary_factor=0.5),
        {"rope_type": "dynamic", "factor": 4.0},
    ),
    "a part, llama3": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=65536, partial_rotary_factor=0.5),
        {"rope_type": "llama3", "factor": 8.0, **LLAMA3},
    ),
    "a part, not scaled": (
        dict(head_dim=64, rope_theta=10000.0, max_position_embeddings=2048, partial_rotary_factor=0.5),
        {"rope_type": "default"},
    ),
}  # fmt: skip


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
    # Llama's own default knows no partial_rotary_factor; it is otherwise the same.
    compute = ROPE_INIT_FUNCTIONS.get(rope_type, Phi3RotaryEmbedding.compute_default_rope_parameters)
    inv_freq, attention_factor = compute(config, device="cpu", seq_len=seq_len)
    return {
        "seq_len": seq_len,
        # Nine digits give the float32 back exactly.
        "inv_freq": [float(f"{value:.9g}") for value in inv_freq.tolist()],
        "attention_factor": float(attention_factor),
    }


def case(model, geometry, parameters):
    """What transformers makes of a config.json; lengths on both sides of each switch."""
    rope_type = parameters.get("rope_type", parameters.get("type"))
    rope = {"rope_theta": geometry["rope_theta"], **parameters}
    if "partial_rotary_factor" in geometry:
        rope["partial_rotary_factor"] = geometry["partial_rotary_factor"]
    config = LlamaConfig(
        head_dim=geometry["head_dim"],
        hidden_size=2 * geometry["head_dim"],
        num_attention_heads=2,
        max_position_embeddings=geometry["max_position_embeddings"],
        rope_parameters=rope,
    )
    length = geometry["max_position_embeddings"]
    if rope_type == "longrope":
        length = parameters["original_max_position_embeddings"]
    depends_on_length = rope_type in ("dynamic", "longrope")
    lengths = [length // 2, length, length + 1, 3 * length] if depends_on_length else [length]
    return {
        "model": model,
        "geometry": geometry,
        "rope_parameters": parameters,
        "frequencies": [frequencies(config, rope_type, n) for n in lengths],
    }


def main():
    transformers.logging.set_verbosity_error()
    cases = [case(name, *family) for name, family in FAMILIES.items()]
    for model, geometry in GEOMETRIES.items():
        for parameters, max_position_embeddings in scalings(geometry):
            longer = {**geometry, "max_position_embeddings": max_position_embeddings}
            cases.append(case(model, longer, parameters))
    golden = {"made_by": f"transformers {transformers.__version__}", "cases": cases}
    path = Path(__file__).parent / "rope_golden.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
