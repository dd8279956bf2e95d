"""The CUDA plugin finds every library and symbol that it wants, as a program on a machine with a GPU would load it; no
GPU is needed for that.

    cuda_plugin_test.py --longspan build/longspan

Skipped where the plugin is not built, or CUDA's libraries are not installed (LONGSPAN_CUDA=1 tools/setup.sh does both).
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from program import command_line, finish, run

LOAD = """
import ctypes, os, sys
libtorch_cuda, plugin = sys.argv[1:]
ctypes.CDLL(libtorch_cuda, os.RTLD_NOW | os.RTLD_GLOBAL)
ctypes.CDLL(plugin, os.RTLD_NOW | os.RTLD_LOCAL)
"""


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def libraries_of(file, environment=None):
    """What ldd resolves: a name -> a path, or None where it is not found."""
    lines = subprocess.run(["ldd", file], capture_output=True, text=True, env=environment).stdout
    found = re.findall(r"^\s*(\S+) => (not found|\S+)", lines, re.MULTILINE)
    return {name: None if path == "not found" else path for name, path in found}


def version_of(folder):
    return (folder.parent / "version.py").read_text() if (folder.parent / "version.py").is_file() else ""


def libtorch_folder(longspan):
    """The LibTorch of the program, or this Python's of the same version, whichever has CUDA's libraries beside it."""
    own = Path(libraries_of(longspan)["libtorch_cpu.so"]).parent
    folders = [own]
    torch = importlib.util.find_spec("torch")
    if torch and version_of(Path(torch.origin).parent / "lib") == version_of(own):
        folders.append(Path(torch.origin).parent / "lib")
    for folder in folders:
        if None not in libraries_of(folder / "libtorch_cuda.so").values():
            return folder
    missing = sorted(name for name, path in libraries_of(own / "libtorch_cuda.so").items() if path is None)
    skip(f"CUDA's libraries are not installed: {', '.join(missing)}")


def main():
    longspan = command_line().parse_args().longspan
    plugin = longspan.with_name("longspan_cuda.so")
    if not plugin.is_file():
        skip(f"{plugin} is not built; its target is longspan_cuda")
    folder = libtorch_folder(longspan)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder)}
    missing = [name for name, path in libraries_of(plugin, environment).items() if path is None]
    assert not missing, f"{plugin} wants {missing}"
    finish(sys.executable, "-c", LOAD, folder / "libtorch_cuda.so", plugin, env=environment)
    print(f"{plugin.name} and {folder / 'libtorch_cuda.so'} load with every symbol")

    said = run(longspan, "--version")
    assert re.search(r"^cuda  (works|cannot be used: )", said, re.MULTILINE), said


if __name__ == "__main__":
    main()
