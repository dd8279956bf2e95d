"""tools/bench/study.py on a tiny random model: a run for each row, and the same table after a kill.

    study_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import training_case

STUDY = Path(__file__).resolve().parents[2] / "tools" / "bench" / "study.py"
sys.path.insert(0, str(STUDY.parent))
import study  # noqa: E402

PLAN = """\
title = "A tiny model"
notes = "Its weights are random."
recipe = "{recipe}"
reference = "yarn"
overrides = ["data.only_full_passages=true"]

[eval]
retrieval = [
  "--dtype", "float32", "--task", "needle,kv", "--lengths", "700,1K",
  "--set", "needle.needles=2", "--set", "needle.trials=3", "--set", "kv.questions=2",
]
loss = [
  "--dtype", "float32", "--task", "perplexity", "--lengths", "64,128", "--set", "perplexity.targets=32",
  "--set", "perplexity.documents=2",
]

[runs.base]

[runs.yarn]
eval = ["--rope", "{{rope_type: yarn, factor: 2}}"]

[runs.sparse]
overrides = ["stages.0.steps=20", "stages.1.steps=20"]

[runs.skip]
overrides = ["stages=null", "train.steps=2", "train.seq_len=64", "packing={{positions: skip, target_length: 128}}"]
seeds = [0, 7]
"""
SMOLLM2_135M = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=49152, hidden_size=576, intermediate_size=1536,
    num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=8192, rms_norm_eps=1e-5,
    rope_theta=100000.0, tie_word_embeddings=True, torch_dtype="bfloat16",
)  # fmt: skip
COLUMNS = ["run", "steps", "tokens", "minutes", "needle, 700", "needle, 1,024", "kv, 700", "kv, 1,024",
           "perplexity, 64", "perplexity, 128"]  # fmt: skip


class StudyTest(training_case.TrainingCase):
    def begin(self, name, plan=PLAN):
        folder = self.folder / name
        folder.mkdir()
        (folder / "study.toml").write_text(plan.format(recipe=self.recipe("study")))
        return folder

    def command(self, folder, *runs):
        return [sys.executable, STUDY, folder, "--model", self.folder / "base", "--data", self.folder / "tokens.h5", "--text",
                self.folder / "0.txt", "--text", self.folder / "1.txt", "--work", self.work(folder), "--longspan", self.program,
                *runs]  # fmt: skip

    @staticmethod
    def work(folder):
        return folder.with_name(folder.name + "-work")

    def study(self, folder, *runs, code=0):
        done = subprocess.run(list(map(str, self.command(folder, *runs))), capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def table(self, folder):
        """The cells of each row by column, but for the minutes."""
        lines = [line for line in (folder / "table.md").read_text().splitlines() if line.startswith("| ")]
        head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        self.assertEqual(head, COLUMNS)
        return {row[0]: {column: cell for column, cell in zip(head, row, strict=True) if column != "minutes"} for row in rows}

    def kill_when(self, folder, ready):
        """Runs the study, and kills it and what it started once `ready` says so."""
        process = subprocess.Popen(list(map(str, self.command(folder))), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)  # fmt: skip
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None and not ready():
            time.sleep(0.001)
        self.assertIsNone(process.poll(), "the study ended before it was killed")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def test_a_killed_study_goes_on_to_the_same_table(self):
        whole, broken = self.begin("whole"), self.begin("broken")
        self.assertEqual(self.study(whole).stdout, (whole / "table.md").read_text() + "\n")
        metrics = self.work(broken) / "sparse" / "metrics.jsonl"
        self.kill_when(broken, lambda: metrics.exists() and metrics.read_text().count("\n") >= 3)
        self.assertFalse((self.work(broken) / "sparse" / "merged").exists())
        journal = broken / "sparse" / "retrieval.json.journal"
        self.kill_when(broken, journal.exists)
        self.assertTrue(journal.exists())
        kept = [*(broken / "base").iterdir(), broken / "yarn" / "loss.json"]
        before = {path: path.stat().st_mtime_ns for path in kept}
        self.study(broken)
        self.assertEqual({path: path.stat().st_mtime_ns for path in kept}, before)
        self.assertFalse(journal.exists())
        expected = self.table(whole)
        self.assertEqual(list(expected), ["base", "yarn", "sparse", "skip-seed0", "skip-seed7", "skip, 2 seeds"])
        self.assertEqual(self.table(broken), expected)
        self.assertEqual([row["steps"] for row in expected.values()], ["", "", "40", "2", "2", ""])
        self.assertEqual([expected[name]["tokens"] for name in ("sparse", "skip-seed7")], ["20,480", "512"])
        self.check_cells(whole, expected)

    def check_cells(self, folder, table):
        """The table's cells are those of the results."""
        def rows_of(name, part, task, length):
            (found,) = [t for t in json.loads((folder / name / f"{part}.json").read_text())["tasks"] if t["task"] == task]
            return [row for row in found["rows"] if row["length"] == length]

        needles = rows_of("sparse", "retrieval", "needle", 1024)
        self.assertEqual([row["n"] for row in needles], [3, 3])  # two depths
        for row in needles:  # whose intervals are eval's own
            for ours, theirs in zip(study.wilson(row["score"] * 3, 3), (row["low"], row["high"])):
                self.assertAlmostEqual(ours, theirs, delta=1e-9)
        nats = sum(row["answer_nll"] for row in needles) / 2
        of_yarn = rows_of("yarn", "retrieval", "needle", 1024)
        a, b = (x["answer_nll"] - y["answer_nll"] for x, y in zip(needles, of_yarn))
        beside = re.escape(f"; {(a + b) / 2:+.4f} ± {abs(a - b) / 2:.4f}")  # of two values: s / sqrt(2)
        self.assertRegex(table["sparse"]["needle, 1,024"], rf"^\d/6 \(0\.\d\d to \d\.\d\d\); {nats:.3f}{beside}$")
        self.assertRegex(table["yarn"]["needle, 1,024"], r"; \d+\.\d{3}$")  # the reference
        ours, theirs = (rows_of(name, "loss", "perplexity", 128)[0] for name in ("sparse", "yarn"))
        a, b = (x - y for x, y in zip(ours["document_nll"], theirs["document_nll"]))
        cell = f"{ours['nll']:.3f}; {(a + b) / 2:+.4f} ± {abs(a - b) / 2:.4f}"
        self.assertEqual(table["sparse"]["perplexity, 128"], cell)
        interval = f"{theirs['nll']:.3f} ({theirs['low']:.3f} to {theirs['high']:.3f})"
        self.assertEqual(table["yarn"]["perplexity, 128"], interval)
        self.assertTrue((folder / "table.md").read_text().endswith(" |\n\nIts weights are random.\n"))
        recipe = (folder / "skip-seed7" / "recipe.yaml").read_text()
        self.assertIn("target_length: 128", recipe)
        self.assertIn("seed: 7", recipe)
        a, b = (rows_of(f"skip-seed{seed}", "loss", "perplexity", 128)[0]["nll"] for seed in (0, 7))
        self.assertNotEqual(a, b)
        self.assertEqual(table["skip, 2 seeds"]["perplexity, 128"], f"{(a + b) / 2:.3f} ± {abs(a - b) / math.sqrt(2):.4f}")

    def test_a_difference_is_of_like_rows_by_their_weights(self):
        row = {"document_nll": [1.0, 2.0, 4.0], "document_weights": [1, 1, 2]}
        self.assertAlmostEqual(sum(study.weighed(row)) / 3, (1 + 2 + 2 * 4) / 4)
        self.assertEqual(study.weighed({"document_nll": [1.0, 2.0]}), [1.0, 2.0])
        other = {"document_nll": [1.0, 1.5, 4.0], "document_weights": [1, 1, 2]}
        self.assertIn("; +0.1250 ± ", study.loss_cell(row | {"nll": 2.75}, other))
        rows = [{"n": 2, "score": 0.5, "answer_nll": 1.0, "depth": depth} for depth in (0, 1)]
        self.assertIn("; +0.5000 ± ", study.cell(rows, [row | {"answer_nll": 0.5} for row in rows]))
        self.assertNotIn("±", study.cell(rows, [row | {"depth": 0.5} for row in rows]))

    def test_a_reference_that_is_no_run_is_refused(self):
        folder = self.begin("seeded", PLAN.replace('reference = "yarn"', 'reference = "skip"'))
        self.assertIn("reference 'skip' is no run", self.study(folder, code=1).stderr)

    def test_the_studies_of_this_repository_are_valid(self):
        config = self.folder / "smollm2-135m.json"
        config.write_text(json.dumps(SMOLLM2_135M))
        root = STUDY.parents[2]
        plans = sorted((root / "docs" / "results").glob("*/study.toml"))
        self.assertGreaterEqual(len(plans), 3)
        for path in plans:
            plan = tomllib.loads(path.read_text())
            self.assertIn(plan.get("reference", next(iter(plan["runs"]))), plan["runs"])
            for name, defined in plan["runs"].items():
                if "overrides" not in defined:
                    continue
                with self.subTest(study=path.parent.name, run=name):
                    overrides = [*plan.get("overrides", []), *defined["overrides"]]
                    result = self.succeeds("validate", root / plan["recipe"], f"model.path={config}", *overrides)
                    self.assertNotIn("does nothing", result.stderr)  # a key that is idle

    def test_a_run_that_fails_stops_no_other_and_one_of_another_definition_is_refused(self):
        folder = self.begin("fails", PLAN.replace('"train.seq_len=64", ', ""))
        self.assertIn("failed: base (eval: exit code 2)", self.study(folder, "base", "--device", "tpu", code=1).stderr)
        done = self.study(folder, "skip-seed0", "base", "--device", "cpu", code=1)
        self.assertIn("failed: skip-seed0 (train: exit code 3)", done.stderr)
        self.assertEqual(list(self.table(folder)), ["base"])
        plan = (folder / "study.toml").read_text()
        (folder / "study.toml").write_text(plan.replace("needle.trials=3", "needle.trials=1"))
        self.assertIn("is of another study.toml", self.study(folder, code=1).stderr)
        self.assertIn("no run full", self.study(folder, "full", code=2).stderr)


if __name__ == "__main__":
    training_case.main()
