"""A tiny random model of each family, made with transformers, for make_tiny_families.py and
tests/end_to_end/families_test.py."""

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

ORIGINAL = 32  # positions before scaling
EXTENDED = 64
VOCAB = 48

SHAPE = {
    "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": EXTENDED,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip
QWEN_WINDOWS = {"use_sliding_window": True, "sliding_window": 11, "max_window_layers": 1}
GEMMA_LAYERS = ["sliding_attention", "full_attention", "sliding_attention"]

FAMILIES = {
    "llama": (LlamaConfig, {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "mistral": (MistralConfig, {"sliding_window": 11, "head_dim": 8}),
    "qwen2": (Qwen2Config, QWEN_WINDOWS),
    "qwen3": (Qwen3Config, {"head_dim": 8, "tie_word_embeddings": True} | QWEN_WINDOWS),
    "smollm3": (SmolLM3Config, {"no_rope_layers": [1, 0, 1]}),
    "phi3": (Phi3Config, {"original_max_position_embeddings": ORIGINAL, "sliding_window": 19}),
    "gemma3_text": (
        Gemma3TextConfig,
        {"head_dim": 8, "query_pre_attn_scalar": 12, "sliding_window": 11, "layer_types": GEMMA_LAYERS},
    ),
}


def factors(count, largest):
    """`count` LongRoPE factors from 1 to `largest`."""
    return [round(1 + (largest - 1) * i / max(count - 1, 1), 3) for i in range(count)]


def rope(rope_type, rotated=4, theta=10000.0):
    """rope_parameters of that type from ORIGINAL to EXTENDED positions, for heads of which `rotated`
    dimensions turn."""
    parameters = {"rope_type": rope_type, "rope_theta": theta}
    if rope_type == "default":
        return parameters
    if rope_type == "longrope":
        half = rotated // 2
        parameters |= {"short_factor": factors(half, 1.5), "long_factor": factors(half, 4.0)}
    else:
        parameters["factor"] = 2.0
    if rope_type == "llama3":
        parameters |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    if rope_type in ("yarn", "llama3", "longrope"):
        parameters["original_max_position_embeddings"] = ORIGINAL
    return parameters


def make_config(family, rope_parameters=None, **changes):
    make, options = FAMILIES[family]
    options = SHAPE | options | changes
    if rope_parameters is not None:
        options["rope_parameters"] = dict(rope_parameters)
    return make(**options)


def make_model(config, seed=7):
    """Weights that bfloat16 holds exactly, and random where transformers begins with 0 or 1."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.add_(0.2 * torch.randn_like(parameter))
            if "embed_tokens" in name:
                parameter[config.pad_token_id].normal_(0, 0.3)
            parameter.copy_(parameter.bfloat16().float())
    return model.eval()


def ids(tokens, seed=11):
    return torch.randint(0, VOCAB, (1, tokens), generator=torch.Generator().manual_seed(seed))
