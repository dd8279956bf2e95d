"""Writes adamw_8bit.safetensors: five steps of bitsandbytes' AdamW8bit on a weight of 4,196 numbers.

    python make_adamw_8bit.py            (bitsandbytes 0.50.2, torch 2.15.0, CPU)
"""

from pathlib import Path

import bitsandbytes.backends.cpu.ops as cpu
import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
SIZE, STEPS = 4196, 5  # the last block is not full


def numbers(step):
    """What a test can make again: a hash of the index, in [-0.5, 0.5), of eight magnitudes."""
    index = torch.arange(SIZE, dtype=torch.int64)
    hashed = ((index + step * SIZE) * 2654435761) % 2**32
    return (hashed.double() / 2**32 - 0.5).float() / 2.0 ** (index // 256 % 8)


def exact_codes(values, code, absmax_out, out, blocksize):
    """The nearest codes. For float32 bitsandbytes' CPU kernel rounds to steps of 2^-15 first."""
    codes, absmax = torch.ops.bitsandbytes.quantize_blockwise(values.double(), code, blocksize)
    codes[values == 0] = code.tolist().index(0)  # a block of zeros gave 0 / 0
    out.copy_(codes)
    absmax_out.copy_(absmax)


cpu._quant_blockwise_fp32_direct = exact_codes
maps = bnb.create_dynamic_map(signed=True), bnb.create_dynamic_map(signed=False)
weight = numbers(0)
codes = torch.zeros(SIZE, dtype=torch.uint8), torch.zeros(SIZE, dtype=torch.uint8)
absmax = torch.zeros(17), torch.zeros(17)
for step in range(1, STEPS + 1):
    gradient = numbers(step)
    gradient[256:512] = 0  # a block that gets none
    cpu._optimizer_update_8bit_blockwise_cpu(
        "adam", gradient, weight, *codes, 0.9, 0.95, 0.0, 0.0, 1e-8, step, 1e-2, *maps, *absmax, 0.1, 1.0
    )
save_file(
    {
        "weight": weight,
        "exp_avg": codes[0],
        "exp_avg_sq": codes[1],
        "exp_avg_absmax": absmax[0],
        "exp_avg_sq_absmax": absmax[1],
        "unsigned_dynamic_map": maps[1],
    },
    Path(__file__).parent / "adamw_8bit.safetensors",
)
