#!/usr/bin/env python3
"""Whether the sources compile against the headers of another LibTorch than the one built with; CMakeLists.txt says from which
to which version they should. Nothing is linked or run.

    pip download torch==2.11.0 --no-deps -d /tmp/torch && unzip -q /tmp/torch/torch-*.whl 'torch/include/*' -d /tmp/torch
    tests/libtorch_headers.py /tmp/torch/torch/include

Takes the commands of build/compile_commands.json (or of --build FOLDER). Exit code 1 where a source does not compile."""

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys


def syntax_check(command, include):
    """The compiler's command with other headers and without an output; None where it takes none of LibTorch's."""
    arguments = shlex.split(command)
    if not any("torch/include" in argument for argument in arguments):
        return None
    checked, skips = [], False
    for argument in arguments:
        if skips or argument in ("-o", "-c"):
            skips = argument == "-o" and not skips
            continue
        checked.append(re.sub(r"^\S*torch/include(?=/|$)", str(include), argument))
    return checked + ["-fsyntax-only"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("include", type=pathlib.Path, help="torch/include of the other LibTorch")
    parser.add_argument("--build", type=pathlib.Path, default="build")
    given = parser.parse_args()
    if not (given.include / "ATen/ATen.h").exists():
        parser.error(f"{given.include}: has no ATen/ATen.h; expected the include folder of a torch wheel")
    failed, checked = 0, 0
    for entry in json.loads((given.build / "compile_commands.json").read_text()):
        command = syntax_check(entry["command"], given.include.resolve())
        if command is None:
            continue
        checked += 1
        result = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True)
        if result.returncode:
            failed += 1
            print(f"{entry['file']}:\n{result.stderr[-4000:]}")
    print(f"{checked} sources checked, {failed} do not compile")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main())
