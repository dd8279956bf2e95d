"""tools/bench/memory_layers.py on a tiny random model: what it shows of each layer is what `longspan eval` measures.

    memory_layers_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import subprocess
import sys
from pathlib import Path

import training_case

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench" / "memory_layers.py"


class MemoryLayersTest(training_case.TrainingCase):
    def layers(self, *arguments, code=0):
        command = [sys.executable, SCRIPT, self.folder / "base", "--length", "1200", "--window", "400", "--longspan", self.program]
        done = subprocess.run(list(map(str, [*command, *arguments])), capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def loss(self, rows):
        asked = [row for row in rows if row["depth"] <= 0.6]
        return sum(row["answer_nll"] * row["n"] for row in asked) / sum(row["n"] for row in asked)

    def measured(self, task, layers):
        out = self.succeeds("eval", self.folder / "base", "--task", task, "--lengths", "1200", "--arm", "focused_memory", "--json",
                            "--set", f"{task}.trials=1", "--set", f"focused_memory.mem_layers={layers}",
                            "--set", "focused_memory.window=400", *self.depths(task)).stdout  # fmt: skip
        return self.loss(json.loads(out)["tasks"][0]["rows"])

    @staticmethod
    def depths(task):
        return ["--set", "passkey.depths=[0.1, 0.4, 0.6]"] if task == "passkey" else []

    def test_each_layer_beside_the_known_ones_is_shown_by_its_loss(self):
        for task, known in (("passkey", [1]), ("needle", [])):
            with self.subTest(task):
                head, *lines = self.layers("--task", task, "--with", ",".join(map(str, known))).stdout.splitlines()
                self.assertIn(f"beside {known or 'no layer'}:", head)
                shown = {name: float(loss) for name, loss, *_ in map(str.split, lines)}
                self.assertEqual(list(shown.values()), sorted(shown.values()))
                expected = {"0": sorted([0, *known])} | ({"none": known} if known else {"1": [1]})
                self.assertEqual(set(shown), set(expected))
                for name, layers in expected.items():
                    self.assertAlmostEqual(shown[name], self.measured(task, layers), delta=6e-4)

    def test_what_was_measured_is_kept_and_what_cannot_be_is_said(self):
        out = self.folder / "layers.json"
        self.layers("--layers", "1", "--out", out)
        self.assertEqual(set(json.loads(out.read_text())["arm_settings"]), {"layer_1"})
        said = self.layers("--layers", "7", code=2).stderr
        self.assertIn("mem_layers", said)
        self.assertNotIn("Traceback", said)


if __name__ == "__main__":
    training_case.main()
