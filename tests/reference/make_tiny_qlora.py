"""Writes tiny_llama/qlora.safetensors: what QLoRA computes, tiny_llama's base in bitsandbytes' NF4 with
double quantisation below its PEFT adapter, all else in float32.

    .venv-test/bin/python tests/reference/make_tiny_qlora.py

    input_ids [2, 48], logits [2, 48, V], loss and grad.<name of each trained tensor>
"""

import ctypes

import bitsandbytes
import bitsandbytes.backends.cpu.ops as cpu_ops
import bitsandbytes.functional as bnb
import peft
import torch
import transformers
from make_tiny_llama import FOLDER, compute
from safetensors.torch import load_file, save_file


def quantise_scales(state):
    """Double quantisation of the scales in its exact form, as make_nf4.py explains."""
    dynamic_map = bnb.create_dynamic_map()
    offset = state.absmax.mean()
    ops = torch.ops.bitsandbytes
    codes, nested = ops.quantize_blockwise((state.absmax - offset).double(), dynamic_map, 256)
    state.absmax = ops.dequantize_blockwise(codes, nested, dynamic_map, 256, torch.float32) + offset


class OneBlockARow:
    """bitsandbytes' library with the shape of a weight made flat. Its kernel for CPUs takes wrong
    scales where a row is longer than a block and no multiple of it (down_proj, 72 x 80)."""

    def __init__(self, library):
        self.library = library

    def __getattr__(self, name):
        return getattr(self.library, name)

    def cdequantize_blockwise_cpu_nf4_fp32(self, codes, absmax, out, block, rows, columns):
        blocks = ctypes.c_longlong(rows.value * columns.value // block.value)
        self.library.cdequantize_blockwise_cpu_nf4_fp32(codes, absmax, out, block, blocks, block)


def main():
    cpu_ops.lib = OneBlockARow(cpu_ops.lib)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    nf4 = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
    )
    base = transformers.AutoModelForCausalLM.from_pretrained(
        FOLDER, quantization_config=nf4, dtype=torch.float32, device_map="cpu"
    )
    quantised = [m for m in base.modules() if isinstance(m, bitsandbytes.nn.Linear4bit)]
    for module in quantised:
        quantise_scales(module.weight.quant_state)
    model = peft.PeftModel.from_pretrained(base, FOLDER / "adapter", is_trainable=True)

    input_ids = load_file(FOLDER / "golden.safetensors")["input_ids"]
    tensors = compute(model, input_ids, "eager") | {"input_ids": input_ids}
    versions = {"made_by": f"transformers {transformers.__version__}, peft {peft.__version__}, "
                           f"bitsandbytes {bitsandbytes.__version__}, torch {torch.__version__}"}  # fmt: skip
    save_file({k: v.contiguous() for k, v in tensors.items()}, FOLDER / "qlora.safetensors", versions)
    print(f"{len(quantised)} projections, loss {tensors['loss']:.6f}, {len(tensors) - 3} gradients")


if __name__ == "__main__":
    main()
