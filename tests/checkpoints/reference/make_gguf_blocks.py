"""Random blocks of each ggml type and what gguf's own dequantiser makes of them, and random values and the blocks
that llama.cpp's quantisers make of them, bit for bit.

    .venv-test/bin/python tests/checkpoints/reference/make_gguf_blocks.py
"""

import ctypes
import importlib.metadata
import json
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

# Where the float16 scales stand in a block; random bits there would make NaN.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [], "TQ1_0": [52], "TQ2_0": [64],
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

# Rows of weights as they come, with outliers, on one side of 0, of one value, and 0.
rows = random.normal(size=(6, 256)).astype("<f4")
rows[1, ::37] *= 30
rows[2] = np.abs(rows[2]) + 3
rows[3] = -np.abs(rows[3]) / 1000
rows[4] = 0.37
rows[5] = 0
ggml = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib/libggml-base.so"))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + [ctypes.c_int64] * 3 + [ctypes.c_void_p]
golden["quantised"] = {"made_by": f"llama-cpp-python {importlib.metadata.version('llama-cpp-python')}",
                       "float32": rows.tobytes().hex()}
for name in ("Q4_0", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"):
    elements, size = GGML_QUANT_SIZES[Type[name]]
    blocks = np.zeros(rows.size // elements * size, np.uint8)
    assert ggml.ggml_quantize_chunk(Type[name], rows.ctypes.data, blocks.ctypes.data, 0, *rows.shape, None) == blocks.size
    golden["quantised"][name] = blocks.tobytes().hex()
Path(__file__).with_name("gguf_blocks.json").write_text(json.dumps(golden, indent=1) + "\n")
