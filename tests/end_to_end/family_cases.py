"""What each model family is tried with."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "reference"))
from tiny_families import rope


def gemma_ropes(full):
    return {"full_attention": rope(full, theta=1e6), "sliding_attention": rope("default")}


# What each family is tried with: (what to call it, rope_parameters, other changes of the config).
CASES = {
    "llama": [(t, rope(t), {}) for t in ("default", "linear", "dynamic", "yarn", "longrope", "llama3")]
    + [("no biases", rope("llama3"), {"attention_bias": False, "mlp_bias": False})],
    "mistral": [
        ("sliding window", rope("default"), {}),
        ("no window", rope("default"), {"sliding_window": None}),
        ("yarn", rope("yarn", 8), {}),
        ("head_dim null", rope("linear"), {"head_dim": None}),
        # AutoModel makes a Ministral of it.
        ("layer_types", rope("default"), {
            "layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
    ],
    "qwen2": [
        ("sliding window", rope("default"), {}),
        ("no window", rope("default"), {"use_sliding_window": False}),
        ("layer_types", rope("default"), {
            "layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
        ("yarn", rope("yarn"), {"use_sliding_window": False}),
        ("dynamic", rope("dynamic"), {"use_sliding_window": False}),
    ],
    "qwen3": [
        ("sliding window", rope("default"), {}),
        ("yarn", rope("yarn", 8), {"use_sliding_window": False}),
        ("biases", rope("linear", 8), {"attention_bias": True}),
    ],
    "smollm3": [
        ("NoPE", rope("default"), {}),
        ("interval", rope("yarn"), {"no_rope_layers": None, "no_rope_layer_interval": 2}),
        ("NoPE with windows", rope("llama3"), {"use_sliding_window": True, "sliding_window": 11}),
        ("biases", rope("dynamic"), {"attention_bias": True, "mlp_bias": True}),
    ],
    "phi3": [
        ("sliding window", rope("default"), {}),
        ("longrope", rope("longrope"), {"sliding_window": None}),
        ("partial longrope", rope("longrope", 4) | {"partial_rotary_factor": 0.5}, {"hidden_size": 32}),
        ("partial", rope("default") | {"partial_rotary_factor": 0.5}, {"hidden_size": 32}),
    ],
    "gemma3_text": [
        ("two ropes", None, {}),
        ("linear", gemma_ropes("linear"), {}),
        ("yarn", gemma_ropes("yarn"), {}),
        ("no windows", None, {"layer_types": ["full_attention"] * 3, "query_pre_attn_scalar": 8}),
    ],
}  # fmt: skip

# The same in the keys of transformers 4, which most published models have.
OLDER = {
    "llama": (rope("llama3"), {}),
    "mistral": (rope("linear", 8), {}),
    "qwen2": (rope("yarn"), {}),
    "qwen3": (rope("yarn", 8), {}),
    "smollm3": (rope("yarn"), {"no_rope_layers": None, "no_rope_layer_interval": 2}),
    "phi3": (rope("longrope") | {"partial_rotary_factor": 0.5}, {"hidden_size": 32}),
    "gemma3_text": (gemma_ropes("linear"), {"layer_types": None, "sliding_window_pattern": 2}),
}
