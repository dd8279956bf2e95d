"""Random blocks of each ggml type and what gguf's own dequantiser makes of them, bit for bit.

    .venv-test/bin/python tests/checkpoints/reference/make_gguf_blocks.py
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

# Where the float16 scales stand in a block; random bits there would make NaN.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}

random = np.random.default_rng(7)
golden = {"made_by": f"gguf {importlib.metadata.version('gguf')}"}
for name, halves in HALVES.items():
    elements, size = GGML_QUANT_SIZES[Type[name]]
    blocks = random.integers(0, 256, (2 if elements == 32 else 1, size), dtype=np.uint8)
    for block in blocks:
        for at in halves:
            block[at : at + 2] = np.frombuffer(np.float16(random.normal()).tobytes(), np.uint8)
    values = dequantize(blocks, Type[name]).astype("<f4")
    golden[name] = {"blocks": blocks.tobytes().hex(), "float32": values.tobytes().hex()}
Path(__file__).with_name("gguf_blocks.json").write_text(json.dumps(golden, indent=1) + "\n")
