#!/usr/bin/env python3
"""Trains a run of a study longer, on a GPU within one session, and evaluates it as the study does.

    tools/bench/gpu_study.py STUDY RUN --base MODEL --texts FOLDER --held-out FOLDER --out OUT [--device cuda]
                             [--tokens 25000000] [--seconds 560] [key.path=value ...]

STUDY/study.toml is one of tools/bench/study.py. MODEL is a folder or a GGUF. First comes the study's reference; then a few steps of
RUN say how long one takes, and RUN gets as many of each stage, in their proportion, as reach --tokens or fill --seconds, what the
evaluation takes left out. OUT gets a study of these two runs: study.toml, plan.json, a folder a run, table.md. key.path=value changes
the recipe behind what RUN says. What tools/bench/gpu_pack.sh packs runs where nothing can be built.
"""

import argparse
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import study

ROOT = Path(__file__).resolve().parents[2]
PROBED_STEPS = 4  # of each stage; the first loads libraries
SLACK = 0.9  # of the time that is left, for steps that take longer than those before them
MERGE_SECONDS = 10


def use_packed_libraries():
    """Those of gpu_pack.sh, and LibTorch's of this Python, for the programs that are started from here."""
    if not (ROOT / "lib").is_dir():
        return
    torch = Path(importlib.util.find_spec("torch").origin).parent / "lib"
    known = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, [str(ROOT / "lib"), str(torch), known]))


def toml(plan, runs):
    """What study.py reads. A list of JSON is one of TOML."""
    lines = [f"{key} = {json.dumps(plan[key])}" for key in ("title", "recipe", "reference", "overrides") if key in plan]
    lines += ["[eval]", *(f"{part} = {json.dumps(options)}" for part, options in plan["eval"].items())]
    for name, run in runs.items():
        lines += [f"[runs.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in run.items())]
    return "\n".join(lines) + "\n"


def step_keys(recipe, overrides, stages):
    """The keys of the steps of each stage: a recipe without stages has `train.steps`."""
    given = [override for override in overrides if override.startswith("stages=")]
    staged = given[-1] != "stages=null" if given else re.search("^stages:", Path(recipe).read_text(), re.MULTILINE)
    return [f"stages.{stage}.steps" for stage in range(stages)] if staged else ["train.steps"]


def scaled(steps, tokens, seconds, wanted_tokens, seconds_left):
    """Steps of each stage, in the proportion of `steps`, that reach the tokens within the time, or as many as it has room for.
    tokens, seconds: of a step."""
    of_all = sum(n * t for n, t in zip(steps, tokens))
    factor = wanted_tokens / of_all
    reached = [math.ceil(n * factor) for n in steps]
    if sum(n * s for n, s in zip(reached, seconds)) <= seconds_left:
        return reached
    factor = max(0.0, seconds_left) / sum(n * s for n, s in zip(steps, seconds))
    return [max(1, math.floor(n * factor)) for n in steps]


class Session:
    def __init__(self, args, work):
        self.begin = time.monotonic()
        self.args, self.work = args, work
        self.plan = tomllib.loads((args.study / "study.toml").read_text())
        self.places = [f"model.path={work / 'base'}", f"data.path={work / 'train.h5'}"]

    def say(self, text):
        print(f"gpu_study: {time.monotonic() - self.begin:.0f} s: {text}", file=sys.stderr, flush=True)

    def longspan(self, *arguments):
        done = subprocess.run([self.args.longspan, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def open_texts(self):
        base = self.work / "base"
        if self.args.base.is_dir():
            base.symlink_to(self.args.base.resolve())
        else:
            self.longspan("convert", self.args.base, base)
        self.longspan("prepare", self.args.texts, "--model", base, "--out", self.work / "train.h5")

    def study(self, runs):
        study.write_whole(self.args.out / "study.toml", toml(self.plan, runs))
        return study.Study(argparse.Namespace(
            study=self.args.out, work=self.work / "runs", model=self.work / "base", data=self.work / "train.h5",
            text=[self.args.held_out], device=self.args.device, longspan=self.args.longspan,
        ))  # fmt: skip

    def evaluate(self, runs, name):
        """Trains it if it is to be, and evaluates it."""
        made = self.study(runs)
        made.begin(name)
        made.evaluate(name)
        return made

    def probe(self, overrides):
        """The keys of the steps of each stage, the recipe's number, and the tokens and seconds of one."""
        recipe, device = self.plan["recipe"], ["--device", self.args.device]
        said = self.longspan("plan", recipe, *device, *self.places, *overrides, "--json")
        study.write_whole(self.args.out / "plan.json", said)
        stages = json.loads(said)["stages"]
        keys = step_keys(recipe, overrides, len(stages))
        folder = self.work / "probe"
        few = [f"{key}={PROBED_STEPS}" for key in keys]
        self.longspan("train", recipe, *device, *self.places, *overrides, *few, "lr_schedule.warmup_steps=0", f"output.dir={folder}")
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        of_stage = [[row for row in rows if row["stage"] == stage] for stage in range(len(stages))]
        return (keys, [stage["steps"] for stage in stages], [rows[0]["tokens"] for rows in of_stage],
                [min(row["step_seconds"] for row in rows[1:]) for rows in of_stage])  # fmt: skip

    def run(self):
        args, runs = self.args, self.plan["runs"]
        run, reference = runs[args.run], self.plan["reference"]
        args.out.mkdir(parents=True, exist_ok=True)
        self.open_texts()
        self.say(f"the base and the texts are ready; now {reference}")
        evaluation = time.monotonic()
        self.evaluate({reference: runs[reference]}, reference)
        evaluation = time.monotonic() - evaluation
        overrides = [*run["overrides"], *args.overrides]
        keys, steps, tokens, seconds = self.probe([*self.plan.get("overrides", []), *overrides])
        left = SLACK * (args.seconds - (time.monotonic() - self.begin) - MERGE_SECONDS) - evaluation
        chosen = scaled(steps, tokens, seconds, args.tokens, left)
        reached = sum(n * t for n, t in zip(chosen, tokens))
        self.say(f"{args.run}: {' '.join(map(str, chosen))} steps, {reached:,} of {args.tokens:,} tokens, about "
                 f"{sum(n * s for n, s in zip(chosen, seconds)):.0f} s")  # fmt: skip
        longer = run | {"overrides": [*overrides, *(f"{key}={n}" for key, n in zip(keys, chosen))]}
        longer.pop("seeds", None)  # there is time for one
        made = self.evaluate({reference: runs[reference], args.run: longer}, args.run)
        study.write_whole(args.out / "table.md", made.table())
        self.say("done")
        print(made.table())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a folder with study.toml")
    parser.add_argument("run", metavar="RUN", help="one of its runs that trains")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True, help="trained on")
    parser.add_argument("--held-out", type=Path, required=True, help="evaluated on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda", help="cpu, cuda or auto")
    parser.add_argument("--tokens", type=int, default=25_000_000)
    parser.add_argument("--seconds", type=float, default=560, help="of the whole session")
    parser.add_argument("--longspan", type=Path, default=ROOT / "build" / "longspan")
    args = parser.parse_intermixed_args()
    if not (args.study / "study.toml").is_file():
        parser.error(f"{args.study}: has no study.toml")
    plan = tomllib.loads((args.study / "study.toml").read_text())
    if "reference" not in plan:
        parser.error(f"{args.study / 'study.toml'} names no reference")
    if plan["runs"][plan["reference"]].get("overrides"):
        parser.error(f"its reference {plan['reference']} is trained, for which there is no time; name one that is not")
    trained = [name for name, run in plan["runs"].items() if "overrides" in run and name != plan["reference"]]
    if args.run not in trained:
        parser.error(f"no run {args.run} that trains in study.toml; there are {', '.join(trained)}")
    use_packed_libraries()
    with tempfile.TemporaryDirectory(prefix="longspan-gpu-study-") as work:
        try:
            Session(args, Path(work)).run()
        except subprocess.CalledProcessError as error:
            sys.exit(f"gpu_study: longspan {error.cmd[1]}: exit code {error.returncode}")


if __name__ == "__main__":
    main()
