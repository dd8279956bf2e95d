"""`longspan` on processors with less than this one, which QEMU emulates: whatever they lack ends a program that uses it.

    processor_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import os
import shutil
import subprocess
import sys

import training_case

QEMU = shutil.which("qemu-x86_64")
if QEMU is None:
    print("skipped: there is no qemu-x86_64; tools/test.sh installs it")
    sys.exit(77)


class ProcessorTest(training_case.TrainingCase):
    def on(self, processor, *arguments):
        environment = {name: value for name, value in os.environ.items() if name != "LONGSPAN_CPU"}
        done = subprocess.run([QEMU, "-cpu", processor, self.program, *map(str, arguments)], capture_output=True, text=True,
                              timeout=900, env=environment)  # fmt: skip
        self.assertEqual(done.returncode, 0, f"{processor}: {done.stderr}")
        return done.stdout

    def test_starts_on_each(self):
        self.assertIn("kernels: AVX2, products of bfloat16 in float32", self.on("Haswell", "--version"))
        self.assertIn("all work is LibTorch's", self.on("Nehalem", "--version"))

    def test_trains_without_avx512(self):
        recipe = self.recipe("here", dtype="bfloat16", shifted_steps=1, full_steps=1)
        self.succeeds("train", recipe)
        self.on("Haswell", "train", recipe, f"output.dir={self.folder}/there")
        here, there = ([json.loads(line)["loss"] for line in (self.folder / name / "metrics.jsonl").read_text().splitlines()]
                       for name in ("here", "there"))  # fmt: skip
        self.assertEqual(len(there), 2)
        for loss, expected in zip(there, here):
            self.assertAlmostEqual(loss, expected, delta=0.01)


if __name__ == "__main__":
    training_case.main()
