"""Writes families/<family>/: a tiny random model of each family, and what it computes.

    .venv-test/bin/python tests/reference/make_tiny_families.py

    config.json, model.safetensors  as transformers saves it, weights in bfloat16
    golden.safetensors              float32: input_ids [1, 48], logits [1, 48, V], loss, and
                                    grad.<name> of each parameter; packed.logits, of the same ids as
                                    three documents in one row that begin at positions 0, 17 and 30;
                                    bfloat16.logits, of the model in bfloat16
"""

import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tiny_families import FAMILIES, ids, make_config, make_model, rope

FOLDER = Path(__file__).parent / "families"
TOKENS = 48  # over the original 32 positions
STARTS = (0, 17, 30)

ROPES = {
    "llama": rope("llama3"),
    "mistral": rope("linear", 8),
    "qwen2": rope("yarn"),
    "qwen3": rope("yarn", 8),
    "smollm3": rope("linear"),
    "phi3": rope("longrope"),
    "gemma3_text": {"full_attention": rope("linear", 8, 1e6), "sliding_attention": rope("default")},
}


def packed_positions():
    positions = torch.arange(TOKENS)
    for start in STARTS[1:]:
        positions[start:] = torch.arange(TOKENS - start)
    return positions[None]


def compute(model, input_ids):
    output = model(input_ids=input_ids, labels=input_ids)
    output.loss.backward()
    tensors = {"input_ids": input_ids, "logits": output.logits.detach(), "loss": output.loss.detach()}
    for name, parameter in model.named_parameters():
        tensors[f"grad.{name}"] = parameter.grad.clone()
    with torch.no_grad():
        packed = model(input_ids=input_ids, position_ids=packed_positions(), use_cache=False)
    return tensors | {"packed.logits": packed.logits}


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    made_by = {"made_by": f"transformers {transformers.__version__}, torch {torch.__version__}"}
    for family in FAMILIES:
        config = make_config(family, ROPES[family])
        model = make_model(config)
        golden = compute(model, ids(TOKENS))
        folder = FOLDER / family
        model.bfloat16().save_pretrained(folder)
        with torch.no_grad():
            golden["bfloat16.logits"] = model(input_ids=ids(TOKENS)).logits
        (folder / "generation_config.json").unlink(missing_ok=True)
        save_file({k: v.contiguous() for k, v in golden.items()}, folder / "golden.safetensors", made_by)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{family}: loss {golden['loss']:.6f}, {len(golden) - 5} gradients, {size} bytes")


if __name__ == "__main__":
    main()
