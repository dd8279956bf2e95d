"""Includes only go down the layers (docs/design.md, Layers): a file may include its own layer and those below.

Needs nothing but python3; --longspan is accepted and not used.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What each layer may include besides itself, nearest first; the rest follows.
BELOW = {
    "src/core": [],
    "src/rope": ["src/core"],
    "src/simd": ["src/core"],
    "src/attention": ["src/rope", "src/simd"],
    "src/nn": ["src/attention"],
    "src/model": ["src/nn"],
    "checkpoints": ["src/model"],
    "data": ["src/rope"],
    "trainer": ["checkpoints", "data"],
    "recipes": ["trainer"],
    "tools/hub": ["checkpoints"],
    "tools/support": ["recipes"],
    "tools": ["tools/support", "tools/hub"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
SLOW_HEADER = re.compile(r"^\s*#\s*include\s*<(torch/torch\.h|ATen/ATen\.h|torch/all\.h)>", re.MULTILINE)


def layer_of(path):
    return max((layer for layer in BELOW if path.startswith(layer + "/")), key=len, default=None)


def allowed(layer):
    layers = {layer}
    for below in BELOW[layer]:
        layers |= allowed(below)
    return layers


def problems_of(path):
    text = (ROOT / path).read_text()
    layer = layer_of(path)
    for include in INCLUDE.findall(text):
        if not (ROOT / include).is_file():
            yield f'{path}: "{include}" is not a path from the root of the repository'
        elif layer_of(include) not in allowed(layer):
            yield f'{path}: {layer} must not include "{include}"'
    for header in SLOW_HEADER.findall(text):
        yield f"{path}: <{header}> costs 20 s a file; include the single headers"


def main():
    files = [
        str(path.relative_to(ROOT))
        for layer in BELOW
        for path in sorted((ROOT / layer).rglob("*"))
        if path.suffix in (".h", ".cpp", ".cu") and layer_of(str(path.relative_to(ROOT))) == layer
    ]
    problems = [problem for path in files for problem in problems_of(path)]
    print("\n".join(problems + [f"{len(files)} files, {len(problems)} includes that go up"]))
    return 1 if problems or not files else 0


if __name__ == "__main__":
    sys.exit(main())
