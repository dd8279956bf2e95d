#!/usr/bin/env python3
"""Writes docs/performance.md of docs/performance/*.json, one file a machine; its words stand here.

    tools/bench/performance.py [--out FILE]
    tools/bench/performance.py --collect FOLDER --machine "2 cores of ..." --instructions AVX2 > docs/performance/NAME.json

--collect makes such a file of what tools/bench/figures.sh left in FOLDER, with the date and the commit of now; NAME is to stand in
MACHINES.
"""

import argparse
import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "performance"
MACHINES = ["zen4", "zen5", "zen3", "xeon", "h100"]  # in the order of the page

HEAD = """# Speed and memory

Made by `tools/bench/performance.py` of `docs/performance/*.json`; not written by hand. `tools/bench/figures.sh` measures a machine in
an hour, `tools/bench/gpu.sh` a GPU in eight minutes. What changed since the commit of a machine is measured again when one is at hand."""

METHOD = """## How it is measured

- **A step** is `bench step`: SmolLM2-135M, bfloat16, LoRA r 8 on q, k, v, o, embeddings and norms trained (29,268,288 parameters),
  AdamW, `recompute: selective`, the better of two; s2 is LongLoRA's shifted sparse attention in groups of a quarter. Useful FLOPs are
  those of the forward pass, the input gradients, attention's backward (twice its forward) and a trained head's gradient, over the rate of `at::linear` [4096, 2048] x
  [2048, 2048] in the same process; what is recomputed does not count. Memory is the peak of resident memory.
- **The peer** is transformers 5.23.0, PEFT 0.21.2 and torch 2.15.0 with scaled_dot_product_attention and checkpointing, in turn with
  longspan in one run. Under S2 its groups wrap around, as LongLoRA's do without flash attention, and ours do not.
- **Attention** is `bench attention --threads 1`, CPU time: 4 x head_dim FLOPs a scored pair forward, 2.5 times that backward.
  SDPA gets S2's groups as rows of a batch and its keys and values repeated; neither counts in its time.
- The CPUs are shared virtual machines: ratios within one run are worth more than seconds."""

LIMITS = """## Limits

- Three times the peer's speed, the aim, is reached on Zen 5 alone (S2 at 4,096: 2.96). LibTorch's SDPA has 17 to 32 % of the rate of `at::linear` there and
  33 to 49 % on Zen 4 (full attention, 4,096 tokens), where less is to win; the Xeon's vdpbf16ps makes no more FLOPs than float32's products.
- LibTorch's flash attention with AMX (`src/attention/kernels/sdpa_flash.h`) is faster than ours, and no step was measured with it:
  it is off until `LONGSPAN_CPU=amx` names it.
- Without AVX-512 LibTorch has no bfloat16 product but loops; ours run in float32, block by block, at 162 to 172 GFLOP/s on a
  quiet Zen 3 and 103 on a busy one, where float32's own products reach 132 (two threads).
- Attention on Zen 4 and the Xeon is of an older kernel. On Zen 5 groups of 256 at head_dim 64 have 0.70 to 0.71 of the linear layer's
  rate on a quiet host (five runs in turn); an hour of other tenants gave 0.57 to 0.70.
- All 32 layers of 7B on a CPU were planned (13 h 36 min a step and 20.5 GiB on Zen 3) and not run.
- Attention's error against float64: in bfloat16 at most 1.035 times SDPA's, in float32 below 6e-7 of the norm."""


def number(value, digits=3):
    """1234.5 -> "1,234"; 0.128 -> "0.128"; nothing -> ""."""
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def seconds(value):
    return "" if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if part and whole else ""


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machines(found):
    return table(["", "machine", "instructions", "measured", "commit", "LibTorch"], [
        [name, m["machine"], m["instructions"], m["date"], m["commit"], m["libtorch"]] for name, m in found.items()
    ])  # fmt: skip


def rows_of(found, key):
    return [(name, row) for name, machine in found.items() for row in machine.get(key, [])]


def steps(found):
    header = ["machine", "attention, length", "", "tokens/s", "over the peer", "memory, MiB", "of the peer's", "useful FLOPs"]
    return table(header, [[
        name, f"{row['attention']}, {number(row['length'])}", row.get("options", ""), number(row.get("tokens_per_second")),
        f"{row['speed_over_peer']:.2f} x" if "speed_over_peer" in row else "", number(row.get("peak_rss_mib")),
        number(row.get("memory_over_peer")), percent(row.get("useful_ratio"), 1),
    ] for name, row in rows_of(found, "steps")])  # fmt: skip


def attention_cell(row):
    rates = [row["forward_gflops"], row["backward_gflops"]]
    sdpa = [row["sdpa_forward_gflops"], row["sdpa_backward_gflops"]]
    return "; ".join([
        " / ".join(number(rate) for rate in rates),
        " / ".join(f"{100 * rate / row['linear_gflops']:.0f}" for rate in rates) + " %",
        " / ".join(f"{rate / other:.1f}" for rate, other in zip(rates, sdpa)) + " x",
    ])  # fmt: skip


def attention(found):
    """A row a shape, a column a machine; "attention_measured" says when and on which commit, where not with the rest."""
    names = list(dict.fromkeys(name for name, _ in rows_of(found, "attention")))
    columns = [f"{name}, {found[name]['attention_measured']}" if "attention_measured" in found[name] else name for name in names]
    shapes = {}
    for name, row in rows_of(found, "attention"):
        shape = (row["pattern"], row["head_dim"], row["length"], row["group_size"])
        shapes.setdefault(shape, {})[name] = attention_cell(row)
    return table(["pattern, head_dim, length, group", *columns], [
        [", ".join([shape[0], *map(number, shape[1:])]), *(cells.get(name, "") for name in names)]
        for shape, cells in shapes.items()
    ])  # fmt: skip


def plans(found):
    header = ["machine", "plan / run", "memory, MiB", "ratio", "step, s", "ratio"]
    return table(header, [[
        name, row["run"],
        f"{number(row['plan_mib'])} / {number(row['peak_mib'])}", f"{row['plan_mib'] / row['peak_mib']:.2f}",
        f"{number(row['plan_seconds'])} / {number(row['step_seconds'])}",
        f"{row['plan_seconds'] / row['step_seconds']:.2f}",
    ] for name, row in rows_of(found, "plans")])  # fmt: skip


def memory(found):
    """Reading to several lengths, a row a model and reading; what searches find there, in the mean over the memory layers."""
    reads, searches = {}, {}
    for name, row in rows_of(found, "memory"):
        model = f"{row['model']}, {row['layers']} layers, {row['mem_layers']} with memory"
        if "search_pages" in row:
            reads.setdefault((name, model, row["search_pages"]), []).append(row)
        else:
            searches.setdefault((name, model, row["length"]), {}).setdefault(row["pages"], []).append(row)

    def each(rows, key):
        return " / ".join(number(row[key]) for row in rows)

    def mean(rows, key):
        return sum(row[key] for row in rows) / len(rows)

    def times(rows, what):
        return f"{mean(rows, what + 'dense_seconds') / mean(rows, what + 'search_seconds'):.1f}"

    reading = table(["machine", "model", "attends to", "tokens", "tokens/s", "peak, MiB"], [
        [name, model, f"{pages} pages" if pages else "all", each(rows, "length"), each(rows, "tokens_per_second"),
         each(rows, "peak_rss_mib")] for (name, model, pages), rows in reads.items()
    ])  # fmt: skip
    header = ["machine", "model", "tokens", "pages", "of the softmax", "of the 16 best keys", "faster, 64 queries", "one query"]
    finding = table(header, [
        [name, model, number(length), " / ".join(str(pages) for pages in found_by),
         " / ".join(percent(mean(rows, "mass_ratio"), 1) for rows in found_by.values()),
         " / ".join(percent(mean(rows, "top_keys_ratio"), 1) for rows in found_by.values()),
         " / ".join(times(rows, "") for rows in found_by.values()) + " x",
         " / ".join(times(rows, "token_") for rows in found_by.values()) + " x"]
        for (name, model, length), found_by in searches.items()
    ])  # fmt: skip
    return f"{reading}\n\n{finding}"


def other(found):
    return table(["machine", "what", "measured"],
                 [[name, row["what"], row["figure"]] for name, row in rows_of(found, "other")])  # fmt: skip


def gpu(found):
    """What ran when, and on which commit; what has run on no GPU yet, and what `longspan plan` says of it."""
    rows = [
        [name, row["what"], f"ran {found[name]['date']}, {found[name]['commit']}", seconds(row.get("step_seconds")),
         number(row.get("tokens_per_second")), number(row.get("peak_mib")) or row.get("result", ""),
         percent(row.get("useful_ratio"), 1)]
        for name, row in rows_of(found, "gpu_runs")
    ]  # fmt: skip
    rows += [
        [name, row["what"], "planned", "", "", f"by plan {row['plan']}" if "plan" in row else "", ""]
        for name, row in rows_of(found, "planned")
    ]  # fmt: skip
    header = ["machine", "what", "state", "step, s", "tokens/s", "peak of tensors, MiB; result", "useful FLOPs"]
    return table(header, rows)


def page():
    files = {file.stem for file in FIGURES.glob("*.json")}
    if files != {*MACHINES}:
        sys.exit(f"{FIGURES} has {sorted(files)}, expected {sorted(MACHINES)}: a new machine gets its place in MACHINES")
    found = {name: json.loads((FIGURES / f"{name}.json").read_text()) for name in MACHINES}
    parts = [
        HEAD,
        machines(found),
        "## A training step, and transformers + PEFT",
        steps(found),
        "## Attention",
        "Forward / backward: GFLOP/s of one thread; of a bfloat16 `at::linear` of the same run; over SDPA.",
        attention(found),
        "## The plan, and the run that followed it",
        plans(found),
        *(["## Reading with focused memory", memory(found)] if rows_of(found, "memory") else []),
        "## On a GPU",
        gpu(found),
        "## Other figures, of one thread unless said",
        other(found),
        METHOD,
        LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def step_row(folder, file):
    ours = json.loads(file.read_text())
    row = {"model": "SmolLM2-135M", **{key: ours[key] for key in ("attention", "length", "tokens_per_second", "peak_rss_mib",
                                                                  "useful_ratio", "linear_gflops")}}  # fmt: skip
    if file.name.startswith("flat-"):
        return row | {"options": "groups of 2,048"}
    peer = folder / file.name.replace("step-", "peer-")
    if peer.is_file():
        theirs = json.loads(peer.read_text())
        row["speed_over_peer"] = round(ours["tokens_per_second"] / theirs["tokens_per_second"], 2)
        row["memory_over_peer"] = round(ours["peak_rss_mib"] / theirs["peak_rss_mib"], 2)
    return row


def collect(folder, machine, instructions):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    version = (folder / "version.txt").read_text()
    files = sorted(folder.glob("step-*.json")) + sorted(folder.glob("flat-*.json"))
    memories = [json.loads(file.read_text()) for file in sorted(folder.glob("memory-*.json"))]
    found = {
        "machine": machine,
        "instructions": instructions,
        "date": date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "libtorch": re.search(r"LibTorch ([\d.]+)", version)[1],
        "attention": json.loads((folder / "attention-1-thread.json").read_text()),
        "steps": [step_row(folder, file) for file in files],
    }
    return found | ({"memory": sum(memories, [])} if memories else {})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--collect", type=Path, metavar="FOLDER")
    parser.add_argument("--machine", default="")
    parser.add_argument("--instructions", default="")
    arguments = parser.parse_args()
    if arguments.collect:
        if not (arguments.collect / "version.txt").is_file():
            parser.error(f"{arguments.collect}: has no version.txt; expected a folder of tools/bench/figures.sh")
        if not (arguments.machine and arguments.instructions):
            parser.error("--collect: the page names --machine and --instructions")
        found = collect(arguments.collect, arguments.machine, arguments.instructions)
        json.dump(found, sys.stdout, indent=1, ensure_ascii=False)
    else:
        arguments.out.write_text(page())


if __name__ == "__main__":
    main()
