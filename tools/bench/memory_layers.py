#!/usr/bin/env python3
"""Which layer focused memory gains most from: each in turn, beside those of --with, before any training.

    tools/bench/memory_layers.py MODEL [--with 7,8,18] [--task passkey|needle] [--length 3K] [--window 1024] [--out FILE.json] [...]

Answers that stand before the window are asked for, one reading of the text for each layer; layers are shown by the loss of an answer's
tokens, least first. Repeat with the best of them in --with until no layer helps, then put them into mem_layers of a recipe. What follows
goes to `longspan eval`: --text, --seed, --set. With --out the evaluation is kept, and the same command goes on where it was stopped.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

DEEPEST = 0.6  # of the text; a window of a third of it does not reach so far back
TASKS = {
    "passkey": ["--set", "passkey.trials=1", "--set", f"passkey.depths=[0.1, 0.4, {DEEPEST}]"],
    "needle": ["--set", "needle.trials=1"],
}


def numbers(text):
    try:
        return [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers of layers, such as 7,8,18") from None


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--with", dest="known", type=numbers, default=[], metavar="LAYERS", help="memory layers so far, from 0")
    parser.add_argument("--layers", type=numbers, metavar="LAYERS", help="those to try; default: all others")
    parser.add_argument("--task", choices=sorted(TASKS), default="passkey")
    parser.add_argument("--length", default="3K", help="tokens of a text")
    parser.add_argument("--window", type=int, default=1024, help="tokens, at most a third of the length")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--longspan", default="build/longspan")
    args, rest = parser.parse_known_args()
    if not (args.model / "config.json").is_file():
        parser.error(f"{args.model}: has no config.json; expected a Hugging Face model folder, as longspan convert writes one")
    return args, rest


def arms_of(known, tried):
    """The name of an arm and its memory layers."""
    arms = {"none": known} if known else {}
    return arms | {f"layer_{layer}": sorted([*known, layer]) for layer in tried}


def evaluate(args, rest, arms, out):
    command = [args.longspan, "eval", args.model, "--task", args.task, "--lengths", args.length, *TASKS[args.task],
               "--arm", ",".join(f"{name}=focused_memory" for name in arms), "--out", out, *rest]
    for name, layers in arms.items():
        # Half a window stays local: of a whole one the question's first token would leave nothing.
        command += ["--set", f"{name}.mem_layers={layers}", "--set", f"{name}.window={args.window}",
                    "--set", f"{name}.last_context_length={args.window // 2}"]  # fmt: skip
    code = subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL).returncode
    if code:
        sys.exit(code)  # it has said why
    return json.loads(out.read_text())["tasks"][0]["rows"]


def main():
    args, rest = parsed()
    count = json.loads((args.model / "config.json").read_text())["num_hidden_layers"]
    tried = args.layers or [layer for layer in range(count) if layer not in args.known]
    arms = arms_of(args.known, tried)
    with tempfile.TemporaryDirectory(prefix="longspan-memory-layers-") as folder:
        rows = evaluate(args, rest, arms, args.out or Path(folder) / "layers.json")
    found = []
    for name in arms:
        own = [row for row in rows if row["arm"] == name and row["depth"] <= DEEPEST]
        asked = sum(row["n"] for row in own)
        loss = sum(row["answer_nll"] * row["n"] for row in own) / asked
        found.append((loss, name.replace("layer_", ""), sum(row["correct"] for row in own), asked))
    print(f"beside {args.known or 'no layer'}: nats a token of an answer, answers right")
    for loss, name, right, asked in sorted(found):
        print(f"{name:>5}  {loss:.3f}  {right} of {asked}")


if __name__ == "__main__":
    main()
