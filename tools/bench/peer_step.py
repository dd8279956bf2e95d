#!/usr/bin/env python3
"""Training steps of transformers + PEFT on random weights and tokens, for the work of `bench step`.

    peer_step.py --config CONFIG.json --length TOKENS [--device cuda] [--steps 2]

bfloat16, LoRA r 8 on q, k, v, o, embeddings and norms trained, AdamW, checkpointing of layers, full attention by
scaled_dot_product_attention; one JSON map. Exits with 77 where that Python lacks one of the packages.
"""

import argparse
import json
import sys
import time

try:
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)


def make_model(config, device):
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(**config), dtype=torch.bfloat16, attn_implementation="sdpa"
        )
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora" in name or "embed" in name or "norm" in name)
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--steps", type=int, default=2)
    given = parser.parse_args()
    with open(given.config, encoding="utf-8") as file:
        config = json.load(file)
    config["max_position_embeddings"] = given.length
    torch.manual_seed(0)
    model = make_model(config, given.device)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-5, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    ids = torch.randint(config["vocab_size"], (1, given.length), device=given.device)
    seconds, losses = [], []
    for _ in range(given.steps):
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(round(loss.item(), 4))  # waits for the device
        seconds.append(round(time.perf_counter() - start, 2))
    peak = torch.cuda.max_memory_allocated() >> 20 if given.device == "cuda" else None
    print(json.dumps({
        "peer": f"transformers {transformers.__version__}", "torch": torch.__version__, "length": given.length,
        "step_seconds": seconds, "losses": losses, "tokens_per_second": round(given.length / max(min(seconds), 1e-9), 2),
        "peak_device_mib": peak,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
