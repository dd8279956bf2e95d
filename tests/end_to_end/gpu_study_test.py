"""tools/bench/gpu_study.py on a tiny random model and the CPU: a run gets the steps that reach the tokens, or those there is time for.

    gpu_study_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import training_case

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "bench" / "gpu_study.py"
sys.path.insert(0, str(SCRIPT.parent))
import gpu_study  # noqa: E402

PLAN = """\
title = "A tiny model"
recipe = "{recipe}"
reference = "yarn"
overrides = ["data.only_full_passages=true"]

[eval]
loss = [
  "--dtype", "float32", "--task", "perplexity", "--lengths", "64,128", "--set", "perplexity.targets=32",
  "--set", "perplexity.documents=2",
]

[runs.yarn]
eval = ["--rope", "{{rope_type: yarn, factor: 2}}"]

[runs.sparse]
overrides = ["stages.0.steps=2", "stages.1.steps=1"]
seeds = [0, 1, 2]
"""


class GpuStudyTest(training_case.TrainingCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, texts in (("texts", (0, 1)), ("held-out", (2, 3))):
            (cls.folder / name).mkdir()
            for text in texts:
                (cls.folder / name / f"{text}.txt").write_text((cls.folder / f"{text}.txt").read_text())

    def session(self, name, run, *arguments, code=0):
        given = self.folder / f"{name}-study"
        given.mkdir()
        (given / "study.toml").write_text(PLAN.format(recipe=self.recipe(name)))
        command = [sys.executable, SCRIPT, given, run, "--base", self.folder / "base", "--texts", self.folder / "texts",
                   "--held-out", self.folder / "held-out", "--out", self.folder / name, "--device", "cpu",
                   "--longspan", self.program, *arguments]  # fmt: skip
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def trained(self, name):
        """The stage and the tokens of each step."""
        rows = [json.loads(line) for line in (self.folder / name / "sparse" / "metrics.jsonl").read_text().splitlines()]
        return [row["stage"] for row in rows], sum(row["tokens"] for row in rows)

    def test_a_run_is_as_long_as_it_takes_to_reach_the_tokens(self):
        done = self.session("whole", "sparse", "--tokens", 6000, "optimizer.lr=0.003")
        stages, tokens = self.trained("whole")
        self.assertEqual((stages, tokens), ([0] * 8 + [1] * 4, 12 * 512))  # 6000 of 2 + 1 steps of 512: 7.8 and 3.9
        table = (self.folder / "whole" / "table.md").read_text()
        self.assertEqual(done.stdout, table + "\n")
        self.assertRegex(table, r"(?m)^\| yarn \|  \|  \|  \| \d")
        self.assertRegex(table, r"(?m)^\| sparse \| 12 \| 6,144 \|")
        self.assertIn("lr: 0.003", (self.folder / "whole" / "sparse" / "recipe.yaml").read_text())
        self.assertEqual(len(json.loads((self.folder / "whole" / "plan.json").read_text())["stages"]), 2)
        made = tomllib.loads((self.folder / "whole" / "study.toml").read_text())
        given = tomllib.loads((self.folder / "whole-study" / "study.toml").read_text())
        self.assertEqual({**made, "runs": None}, {**given, "runs": None})
        self.assertEqual(made["runs"]["yarn"], given["runs"]["yarn"])

    def test_a_run_takes_no_more_steps_than_there_is_time_for(self):
        done = self.session("short", "sparse", "--tokens", 10**9, "--seconds", 1)
        self.assertEqual(self.trained("short"), ([0, 1], 2 * 512))
        self.assertIn("sparse: 1 1 steps, 1,024 of 1,000,000,000 tokens", done.stderr)

    def test_steps_stay_in_proportion(self):
        scaled = gpu_study.scaled
        self.assertEqual(scaled([6, 3], [100, 200], [1, 2], 12000, 1e9), [60, 30])
        self.assertEqual(scaled([6, 3], [100, 200], [1, 2], 12001, 1e9), [61, 31])
        self.assertEqual(scaled([6, 3], [100, 200], [1, 2], 12000, 60), [30, 15])
        self.assertEqual(scaled([6], [100], [1], 12000, -5), [1])

    def test_stages_are_those_of_the_recipe_or_of_the_overrides(self):
        recipe = self.recipe("keys")
        self.assertEqual(gpu_study.step_keys(recipe, [], 2), ["stages.0.steps", "stages.1.steps"])
        self.assertEqual(gpu_study.step_keys(recipe, ["stages=null"], 1), ["train.steps"])
        self.assertEqual(gpu_study.step_keys(recipe, ["stages=null", "stages=[{steps: 3}]"], 1), ["stages.0.steps"])

    def test_a_run_that_does_not_train_is_refused(self):
        self.assertIn("no run yarn that trains", self.session("untrained", "yarn", code=2).stderr)


if __name__ == "__main__":
    training_case.main()
