"""What the end-to-end tests share: the program under test, and a note of what it was checked against.

With LONGSPAN_CHECKS=FILE in the environment each check that passed adds a line of JSON to FILE, of which
compatibility.py makes docs/compatibility.md.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path


def command_line():
    """A parser of --longspan PROGRAM, which the test may add to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--longspan", type=lambda path: Path(path).resolve(), required=True)
    return parser


def float32_bound(expected, config, seq_len):
    """How far two float32 computations of the logits `expected` may lie apart on processors that add in another order;
    tests/support/float32_bound.h has the reasons. `config` is transformers' of the model, read over seq_len tokens."""
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    layer = 5 * config.hidden_size + config.intermediate_size + head_dim + heads * head_dim + seq_len
    terms = config.num_hidden_layers * layer + 2 * config.hidden_size
    return 8 * 2**-24 * terms**0.5 * float(abs(expected).max())


def finish(*command, code=0, **options):
    """The finished process; its exit code must be `code`."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def run(*command, code=0, **options):
    return finish(*command, code=code, **options).stdout


def refusal(*command, code, **options):
    """What it says on stderr when it fails with `code`."""
    return finish(*command, code=code, **options).stderr


def checked(what, module, family="", rope="", detail=""):
    """Notes that `what` ("folder in", "GGUF out") agreed with the installed package that has this module; for one family
    and one rope_type if these are given."""
    if not os.environ.get("LONGSPAN_CHECKS"):
        return
    package = importlib.metadata.packages_distributions().get(module, [module])[0]
    line = {"test": Path(sys.argv[0]).stem, "what": what, "package": package,
            "version": importlib.metadata.version(package), "family": family, "rope": rope, "detail": detail}
    with open(os.environ["LONGSPAN_CHECKS"], "a") as file:
        file.write(json.dumps(line) + "\n")
