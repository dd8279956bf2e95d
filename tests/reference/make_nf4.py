"""Writes nf4.safetensors: weights, and what bitsandbytes' NF4 with double quantisation makes of them.

    python make_nf4.py            (bitsandbytes 0.50.2, torch 2.15.0, CPU)
"""

from pathlib import Path

import bitsandbytes.functional as bnb
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
# 53 x 320 numbers that a test can make again: a hash of the index, in [-0.5, 0.5), times 1/16.
index = torch.arange(53 * 320, dtype=torch.int64)
weight = (((index * 2654435761) % 2**32).double() / 2**32 - 0.5).float().view(53, 320) / 16
weight[3, :64] = 0  # a block of zeros
weight[5, 17] = 3.0  # an outlier
weight[7, :16] = torch.tensor([-1, 1, 0.5, -0.5] * 4) / 16

dynamic_map = bnb.create_dynamic_map()
tensors = {"dynamic_map": dynamic_map}
for name, dtype in {"float32": torch.float32, "bfloat16": torch.bfloat16}.items():
    codes, state = bnb.quantize_4bit(weight.to(dtype), blocksize=64, quant_type="nf4")
    # As compress_statistics does it, but in the exact form: for float64 bitsandbytes takes argmin;
    # its CPU kernel for float32 rounds to steps of 2^-15 first, and zero becomes 2.1e-5.
    offset = state.absmax.mean()
    ops = torch.ops.bitsandbytes
    scale_codes, nested = ops.quantize_blockwise((state.absmax - offset).double(), dynamic_map, 256)
    state.absmax = ops.dequantize_blockwise(scale_codes, nested, dynamic_map, 256, torch.float32) + offset
    tensors |= {
        f"{name}.codes": codes.flatten(),
        f"{name}.scale_codes": scale_codes,
        f"{name}.nested_scale": nested,
        f"{name}.offset": offset.reshape(1),
        f"{name}.dequantized": bnb.dequantize_4bit(codes, state),
    }
save_file({k: v.contiguous() for k, v in tensors.items()}, Path(__file__).parent / "nf4.safetensors")
