#!/usr/bin/env python3
"""What `plan` foresees of a recipe at rates measured now, and what its run has: memory at the peak and seconds a step.

    tools/bench/plan_and_run.py RECIPE [key.path=value ...] [--steps 4] [--longspan build/longspan]

The recipe has one stage. Its steps but the first, which loads the weights too, are measured by their median. Prints a row for `plans`
in docs/performance/*.json, and says how far plan and run lie apart. On a machine that has other work both mean little.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def longspan(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)  # it has said why
    return done.stdout


def compare(program, recipe, overrides, steps):
    with tempfile.TemporaryDirectory(prefix="longspan-plan-and-run-") as folder:
        place = f"output.dir={folder}/run"
        plan = json.loads(longspan(program, "plan", recipe, *overrides, place, "--json"))
        longspan(program, "train", recipe, *overrides, place, f"train.steps={steps}", "lr_schedule.warmup_steps=0")
        records = [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]
    return {
        "run": " ".join([Path(recipe).name, *overrides]),
        "plan_mib": plan["peak_memory_bytes"] >> 20,
        "peak_mib": records[-1]["peak_memory_bytes"] >> 20,
        "plan_seconds": round(plan["stages"][0]["step_seconds"]["total"], 2),
        "step_seconds": round(statistics.median(record["step_seconds"] for record in records[1:]), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--longspan", type=Path, default=Path("build/longspan"))
    arguments = parser.parse_args()
    if not arguments.longspan.is_file():
        parser.error(f"--longspan: {arguments.longspan} is no program")
    if arguments.steps < 2:
        parser.error("--steps: expected 2 or more, of which the first is not measured")
    row = compare(arguments.longspan.resolve(), arguments.recipe, arguments.overrides, arguments.steps)
    print(json.dumps(row))
    print(f"plan over run: memory {row['plan_mib'] / row['peak_mib']:.2f}, seconds {row['plan_seconds'] / row['step_seconds']:.2f}",
          file=sys.stderr)


if __name__ == "__main__":
    main()
