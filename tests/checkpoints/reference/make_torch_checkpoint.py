"""Writes state_dict.bin and its relatives with PyTorch 2.15, and what they hold as JSON.

    .venv-test/bin/python tests/checkpoints/reference/make_torch_checkpoint.py
"""

import collections
import io
import json
import struct
import zipfile
from pathlib import Path

import torch

HERE = Path(__file__).parent


def state_dict():
    values = torch.arange(24, dtype=torch.float32) / 8 - 1
    tensors = collections.OrderedDict()
    tensors["float32"] = values.reshape(4, 6)
    tensors["shared.with.float32"] = tensors["float32"]
    tensors["transposed"] = tensors["float32"].t()
    tensors["slice"] = tensors["float32"][1:3, 2:5]
    tensors["parameter"] = torch.nn.Parameter(values[:5].clone())
    for dtype in ("bfloat16", "float16", "float64", "int64", "int32", "int16", "int8", "uint8"):
        tensors[dtype] = (values[8:14] * 8).to(getattr(torch, dtype))
    tensors["bool"] = torch.tensor([True, False, True])
    tensors["scalar"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 3)
    tensors._metadata = collections.OrderedDict({"": {"version": 1}})
    return tensors


def adapter():
    """LoRA of rank 2 and a norm, for the model of tests/support/tiny_llama.h."""
    values = torch.arange(144, dtype=torch.float32) / 8 - 1
    q_proj = "base_model.model.model.layers.0.self_attn.q_proj."
    return {
        q_proj + "lora_A.weight": values[:72].reshape(2, 36).clone(),
        q_proj + "lora_B.weight": values.reshape(72, 2),
        "base_model.model.model.norm.weight": values[:36].clone(),
    }


def as_zip64(data):
    """The same archive with every size and offset in ZIP64 fields."""
    out, directory = io.BytesIO(), b""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        for info in members:
            name, content, at = info.filename.encode(), archive.read(info), out.tell()
            extra = struct.pack("<HHQQ", 1, 16, len(content), len(content))
            out.write(struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, info.CRC, 0xFFFFFFFF,
                                  0xFFFFFFFF, len(name), len(extra)) + name + extra + content)
            extra = struct.pack("<HHQQQ", 1, 24, len(content), len(content), at)
            directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0, info.CRC,
                                     0xFFFFFFFF, 0xFFFFFFFF, len(name), len(extra), 0, 0, 0, 0,
                                     0xFFFFFFFF) + name + extra
    begin = out.tell()
    out.write(directory)
    end = out.tell()
    out.write(struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, len(members), len(members),
                          len(directory), begin))
    out.write(struct.pack("<IIQI", 0x07064B50, 0, end, 1))
    out.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))
    zipfile.ZipFile(out).testzip()
    return out.getvalue()


def main():
    tensors = state_dict()
    torch.save(tensors, HERE / "state_dict.bin")
    torch.save(tensors, HERE / "state_dict_protocol4.bin", pickle_protocol=4)
    torch.save(collections.OrderedDict(a=torch.ones(2)), HERE / "state_dict_legacy.bin",
               _use_new_zipfile_serialization=False)
    (HERE / "state_dict_zip64.bin").write_bytes(as_zip64((HERE / "state_dict.bin").read_bytes()))
    # A module pickled whole, as torch.save(model) does: more than weights.
    torch.save({"a": torch.ones(2), "step": 3, "module": torch.nn.Linear(2, 2)},
               HERE / "pickled_module.bin")
    torch.save({"a": torch.ones(2), "step": 3}, HERE / "with_a_number.bin")
    torch.save(adapter(), HERE / "adapter_model.bin")
    expected = {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape),
               "values": [float(value) for value in tensor.detach().flatten()]}
        for name, tensor in tensors.items()
    }
    (HERE / "state_dict.json").write_text(
        json.dumps({"made_with": f"PyTorch {torch.__version__}", "tensors": expected}) + "\n")


if __name__ == "__main__":
    main()
