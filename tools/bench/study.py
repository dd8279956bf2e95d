#!/usr/bin/env python3
"""Trains the runs of a study one after the other, evaluates each alike, and writes one table.

    tools/bench/study.py STUDY --model MODEL --data STORE.h5 --text FILE|FOLDER [--text ...] [--work FOLDER] [RUN ...]

STUDY/study.toml says the base recipe, what all runs and each run replace in it, and how each is evaluated, in parts that are done
in turn. A run without `overrides` is the model itself, read as its own `eval` says. One with `seeds = [0, 1]` is a run for each, called
RUN-seed0 and RUN-seed1. Each run leaves run.json, recipe.yaml, metrics.jsonl and PART.json in STUDY/RUN, and its checkpoints and merged
model in FOLDER/RUN (FOLDER: runs/NAME of STUDY). The same command goes on where it was stopped or killed. What is done is not done
again, on another machine either; a run that fails does not stop the next. STUDY/table.md has a row for each run that is done, and below
them the `notes` of study.toml; it is written anew after each.
"""

import argparse
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

STOPPED = (129, 130, 143, -signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM)  # exit codes after a signal, and after a second one


def longspan(program, *arguments):
    """Runs the program; a signal to stop is left to it, so that it can save before it ends."""
    print("longspan", *arguments, file=sys.stderr, flush=True)
    process = subprocess.Popen([program, *map(str, arguments)], stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
    signal.signal(signal.SIGINT, lambda number, frame: None)  # the terminal sends it to both
    code = process.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if code:
        raise subprocess.CalledProcessError(code, ["longspan", str(arguments[0])])


def write_whole(path, text):
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    os.replace(part, path)


class Study:
    def __init__(self, args):
        self.args = args
        self.folder = args.study
        self.work = args.work or Path("runs") / args.study.resolve().name
        self.plan = tomllib.loads((self.folder / "study.toml").read_text())
        self.seeded = {}  # the runs of each with `seeds`
        self.runs = self.expanded()
        reference = self.plan.get("reference")
        if reference is not None and reference not in self.runs:
            sys.exit(f"study: {self.folder / 'study.toml'}: reference {reference!r} is no run; expected one of {', '.join(self.runs)}")
        self.device = ["--device", args.device] if args.device else []

    def expanded(self):
        runs = {}
        for name, run in self.plan["runs"].items():
            if "seeds" not in run:
                runs[name] = run
                continue
            of_all = {key: value for key, value in run.items() if key != "seeds"}
            of_seeds = {f"{name}-seed{seed}": [*run["overrides"], f"train.seed={seed}"] for seed in run["seeds"]}
            runs |= {each: of_all | {"overrides": overrides} for each, overrides in of_seeds.items()}
            self.seeded[name] = list(of_seeds)
        return runs

    def definition(self, name):
        """All of study.toml that decides the run."""
        shared = {key: self.plan[key] for key in ("recipe", "overrides", "eval") if key in self.plan}
        return shared | {"run": self.runs[name]}

    def result(self, name, part):
        return self.folder / name / f"{part}.json"

    def is_evaluated(self, name, part):
        """A result grows task by task; its journal is there until it is whole."""
        out = self.result(name, part)
        return out.exists() and not out.with_name(out.name + ".journal").exists()

    def is_done(self, name):
        return all(self.is_evaluated(name, part) for part in self.plan["eval"])

    def begin(self, name):
        """Results of another definition must not stand beside those of this one."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        known = folder / "run.json"
        if not known.exists():
            write_whole(known, json.dumps(self.definition(name), indent=1) + "\n")
        elif json.loads(known.read_text()) != self.definition(name):
            sys.exit(f"study: {known} is of another study.toml; name the run otherwise, or remove {folder} and {self.work / name}")

    def model(self, name):
        """The model of a run: merged, trained if it is not there yet."""
        if "overrides" not in self.runs[name]:
            return self.args.model
        work, args = self.work / name, self.args
        merged = work / "merged"
        if not merged.exists():
            places = [f"model.path={args.model}", f"data.path={args.data}", f"output.dir={work}"]
            overrides = [*self.plan.get("overrides", []), *self.runs[name]["overrides"]]
            resume = ["--resume"] if (work / "metrics.jsonl").exists() else []
            longspan(args.longspan, "train", self.plan["recipe"], *places, *overrides, *self.device, *resume)
            longspan(args.longspan, "merge", args.model, work, merged)
        shutil.copy(work / "recipe.resolved.yaml", self.folder / name / "recipe.yaml")
        shutil.copy(work / "metrics.jsonl", self.folder / name / "metrics.jsonl")
        return merged

    def evaluate(self, name):
        model = self.model(name)
        text = [word for path in self.args.text for word in ("--text", path)]
        for part, options in self.plan["eval"].items():
            if self.is_evaluated(name, part):
                continue
            longspan(self.args.longspan, "eval", model, *options, *self.runs[name].get("eval", []), *text, *self.device,
                     "--label", name, "--out", self.result(name, part))  # fmt: skip

    def rows(self, name):
        """Of each column, "TASK, LENGTH", and behind it the arm where there are more, the result's rows: one a depth where a task
        has depths."""
        rows = {}
        for part in self.plan["eval"]:
            for task in json.loads(self.result(name, part).read_text())["tasks"]:
                several = len({row["arm"] for row in task["rows"]}) > 1
                for row in task["rows"]:
                    arm = f", {row['arm']}" if several else ""
                    rows.setdefault(f"{task['task']}, {row['length']:,}{arm}", []).append(row)
        return rows

    def trained(self, name):
        """Steps, tokens and minutes of training."""
        metrics = self.folder / name / "metrics.jsonl"
        steps = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
        if not steps:
            return ["", "", ""]
        minutes = sum(step["step_seconds"] for step in steps) / 60
        return [str(len(steps)), f"{sum(step['tokens'] for step in steps):,}", f"{minutes:.1f}"]

    def table(self):
        done = [name for name in self.runs if self.is_done(name)]
        results = {name: self.rows(name) for name in done}
        columns = list(dict.fromkeys(column for rows in results.values() for column in rows))
        reference = self.plan.get("reference")
        lines = [["run", "steps", "tokens", "minutes", *columns]]
        lines.append(["---"] * len(lines[0]))
        for name in done:
            rows = results[name]
            compared = results.get(reference, {}) if name != reference else {}
            cells = [cell(rows[column], compared.get(column)) if column in rows else "" for column in columns]
            lines.append([name, *self.trained(name), *cells])
        for name, runs in self.seeded.items():
            if all(run in results for run in runs):
                asked = [[results[run].get(column) for run in runs] for column in columns]
                cells = [over_seeds(of_runs) if all(of_runs) else "" for of_runs in asked]
                lines.append([f"{name}, {len(runs)} seeds", "", "", "", *cells])
        table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        notes = f"\n{self.plan['notes'].strip()}\n" if "notes" in self.plan else ""
        return f"# {self.plan['title']}\n\n{NOTE}\n\n{table}{notes}"


NOTE = """Made by tools/bench/study.py of study.toml, which says what the runs are. Of questions: right answers of all with the 95 %
interval (Wilson), and the nats a token of the right answer when it is fed. Of texts: nats a token, with the 95 % interval over
documents. Behind nats stands the difference to the reference, mean and standard error over the same depths or documents. Of several
seeds: nats a token, mean and standard deviation over the runs."""


def wilson(correct, count):
    z = statistics.NormalDist().inv_cdf(0.975)
    middle = (correct + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * math.sqrt(correct * (count - correct) / count + z * z / 4)
    return max(0.0, middle - half), middle + half


def weighed(row):
    """Losses of documents whose plain mean is their weighted one (trainer/eval/statistics.cpp)."""
    values, weights = row["document_nll"], row.get("document_weights")
    if not weights:
        return values
    centre = sum(w * x for w, x in zip(weights, values)) / sum(weights)
    return [centre + w * (x - centre) / statistics.fmean(weights) for w, x in zip(weights, values)]


def difference(ours, theirs):
    """Of the same depths or documents; nothing where there are no two."""
    if len(ours) != len(theirs) or len(ours) < 2:
        return ""
    differences = [a - b for a, b in zip(ours, theirs)]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return f"; {statistics.mean(differences):+.4f} ± {error:.4f}"


def asked_alike(rows, reference):
    """The reference's rows where each is of the same depth and subset as ours; else none."""
    kinds = [[(row.get("depth"), row.get("subset")) for row in of] for of in (rows, reference)]
    return reference if kinds[0] == kinds[1] else []


def cell(rows, reference):
    if "nll" in rows[0]:
        return loss_cell(rows[0], reference[0] if reference else None)
    count = sum(row["n"] for row in rows)
    correct = sum(row["score"] * row["n"] for row in rows)
    low, high = wilson(correct, count)
    beside = difference(*([row["answer_nll"] for row in of] for of in (rows, asked_alike(rows, reference or []))))
    return f"{correct:g}/{count} ({low:.2f} to {high:.2f}); {nats_of(rows):.3f}{beside}"


def nats_of(rows):
    if "nll" in rows[0]:
        return rows[0]["nll"]
    return sum(row["answer_nll"] * row["n"] for row in rows) / sum(row["n"] for row in rows)


def over_seeds(runs):
    nats = [nats_of(rows) for rows in runs]
    return f"{statistics.mean(nats):.3f}" + (f" ± {statistics.stdev(nats):.4f}" if len(nats) > 1 else "")


def loss_cell(row, reference):
    loss = f"{row['nll']:.3f}"
    beside = difference(weighed(row), weighed(reference)) if reference else ""
    if beside:
        return loss + beside
    return loss if row.get("low") is None else f"{loss} ({row['low']:.3f} to {row['high']:.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a folder with study.toml")
    parser.add_argument("runs", nargs="*", metavar="RUN", help="these alone")
    parser.add_argument("--model", required=True, help="the base of every run")
    parser.add_argument("--data", required=True, help="a token store of longspan prepare")
    parser.add_argument("--text", action="append", required=True, help="what is evaluated on, and nothing is trained on")
    parser.add_argument("--work", type=Path, help="a folder for checkpoints and merged models")
    parser.add_argument("--device", help="where runs are trained and evaluated, as of longspan train and eval")
    parser.add_argument("--longspan", default="build/longspan")
    args = parser.parse_intermixed_args()
    if not (args.study / "study.toml").is_file():
        parser.error(f"{args.study}: has no study.toml")
    study = Study(args)
    if unknown := set(args.runs) - set(study.runs):
        parser.error(f"no run {', '.join(sorted(unknown))} in study.toml; there are {', '.join(study.runs)}")
    failed = []
    for name in args.runs or study.runs:
        study.begin(name)
        try:
            if not study.is_done(name):
                study.evaluate(name)
        except subprocess.CalledProcessError as error:
            if error.returncode in STOPPED:
                sys.exit(f"study: stopped in {name}; the same command goes on from here")
            failed.append(f"{name} ({error.cmd[1]}: exit code {error.returncode})")
        write_whole(study.folder / "table.md", study.table())
    print(study.table())
    if failed:
        sys.exit(f"study: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
