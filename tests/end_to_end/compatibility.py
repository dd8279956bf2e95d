"""Writes docs/compatibility.md of what the end-to-end tests checked.

    python compatibility.py --longspan build/longspan [--checks FILE] [--out docs/compatibility.md]

Runs every *_test.py beside it and takes what each notes (program.checked); with --checks FILE it takes what an earlier
run noted there. A test that fails makes no page.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from program import command_line

HERE = Path(__file__).resolve().parent
FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "phi3", "gemma3"]
FORMATS = {
    "folder in": "a Hugging Face folder, read",
    "folder out": "a Hugging Face folder, written by `convert`",
    "config out": "its config.json alone",
    "PEFT in": "an adapter that PEFT made, read",
    "merge": "base + adapter, written by `merge`",
    "PEFT out": "an adapter that `train` made",
    "GGUF in": "GGUF, read",
    "GGUF out": "GGUF, written by `convert`",
}
NAMES = {"xllamacpp": "llama.cpp", "llama_cpp_python": "llama.cpp", "vllm": "vllm's config reader"}


def run_tests(longspan, file):
    """Runs them all; the names of those that were skipped, with the reason."""
    skipped = {}
    for test in sorted(HERE.glob("*_test.py")):
        print(f"{test.stem} ...", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, test, "--longspan", longspan], capture_output=True, text=True,
                              env={**os.environ, "LONGSPAN_CHECKS": file})  # fmt: skip
        if done.returncode == 77:
            skipped[test.stem] = (done.stdout + done.stderr).strip().splitlines()[-1]
        elif done.returncode != 0:
            sys.exit(f"{test.stem}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return skipped


def program_of(check):
    return NAMES.get(check["package"], check["package"])


def programs(checks):
    return ", ".join(sorted({program_of(check) for check in checks}))


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def grid(checks, key, values):
    """Rows by what was checked, columns by family, programs in the cells."""
    rows = []
    for value, name in values.items():
        cells = [
            programs(c for c in checks if c["family"] == family and c[key] == value) for family in FAMILIES
        ]
        rows.append([name, *cells])
    return table([""] + FAMILIES, rows)


def versions(checks):
    used = sorted({(program_of(c), c["package"], c["version"]) for c in checks})
    return table(["program", "version"], [
        [name, version if name == package else f"{package} {version}"] for name, package, version in used
    ])  # fmt: skip


def without_family(checks):
    rows = {}
    for check in checks:
        if not check["family"]:
            rows.setdefault(check["what"], []).append(check)
    return table(["what", "agrees with", "checked with"], [
        [what, programs(each), "; ".join(sorted({c["detail"] or c["rope"] for c in each} - {""}))]
        for what, each in sorted(rows.items())
    ])  # fmt: skip


def page(checks, skipped):
    ropes = sorted({c["rope"] for c in checks if c["family"]} - {""})
    details = {}
    for check in checks:
        if check["family"] and check["detail"]:
            details.setdefault((check["family"], check["what"]), set()).add(check["detail"])
    order = list(FORMATS)
    rows = [[family, FORMATS[what], "; ".join(sorted(each))]
            for (family, what), each in sorted(details.items(),
                                               key=lambda item: (FAMILIES.index(item[0][0]), order.index(item[0][1])))]
    parts = [
        "# What was checked against which program",
        "Made by `tests/end_to_end/compatibility.py` of what the end-to-end tests ran; not written by hand. A program in "
        "a cell computed the same logits (or read the same tensors, or cut the same ids) within the bound that the test "
        "states; an empty cell was not tried. The families are tiny random models of transformers, unless SmolLM2-135M "
        "is named.",
        "## The programs",
        versions(checks),
        "## Formats",
        grid(checks, "what", FORMATS),
        "## RoPE scalings",
        grid(checks, "rope", {rope: f"`{rope}`" for rope in ropes}),
        "## Not of one family",
        without_family(checks),
        "## The cases",
        table(["family", "what", "cases"], rows),
        "## Where the programs differ from one another",
        "A text that begins with a space, in a SentencePiece vocabulary: SentencePiece and llama.cpp put one more before "
        "it, transformers 5's LlamaTokenizer does not. A folder is read as transformers reads it and a GGUF as llama.cpp "
        "does, so that `convert` between the two changes the ids of such a text and `diff` says so.",
    ]
    if skipped:
        parts += ["## Skipped where this was made", table(["test", "why"], [list(item) for item in skipped.items()])]
    return "\n\n".join(parts) + "\n"


def main():
    parser = command_line()
    parser.add_argument("--checks", type=Path, help="lines of an earlier run, instead of running the tests")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "docs" / "compatibility.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.checks or Path(folder) / "checks.jsonl"
        skipped = {} if arguments.checks else run_tests(arguments.longspan, file)
        checks = [json.loads(line) for line in file.read_text().splitlines()]
    unknown = {c["family"] for c in checks} - {"", *FAMILIES} | {c["what"] for c in checks if c["family"]} - {*FORMATS}
    assert not unknown, f"no row or column for {unknown}"
    arguments.out.write_text(page(checks, skipped))


if __name__ == "__main__":
    main()
