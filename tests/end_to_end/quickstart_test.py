"""What tools/quickstart.sh asks longspan for, by the speed of the machine, and what it does with an earlier run. A script that notes
what it was called with stands in for longspan, which would train for minutes; a test holds the real `plan` to the form of its answers.

    quickstart_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from plan_memory_test import RATES
from program import command_line, run
from smollm2 import gguf_path

LONGSPAN = None
QUICKSTART = Path(__file__).resolve().parents[2] / "tools" / "quickstart.sh"
RECIPE = QUICKSTART.parents[1] / "recipes" / "smollm2-135m-16k-quickstart.yaml"
# A forward pass of the last stage's length takes PASS seconds in its products and as much in attention, the run RUN seconds.
NOTES_ITS_CALLS = """\
#!/usr/bin/env bash
echo "$*" >>calls
[[ $1 != plan || $* != *--json* ]] || printf '"linears_forward": %s,\\n"attention_forward": %s,\\n"run_seconds": %s\\n' PASS PASS RUN
"""


class QuickstartTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="longspan-quickstart-"))
        self.addCleanup(shutil.rmtree, self.folder)
        for folder in ("tools", "build", "texts", "models/SmolLM2-135M-Instruct"):
            (self.folder / folder).mkdir(parents=True)
        shutil.copy(QUICKSTART, self.folder / "tools")
        self.program("tools/setup.sh", "#!/bin/sh\n")
        (self.folder / "models/SmolLM2-135M-Instruct/config.json").write_text("{}")
        for name in ("a", "b", "c", "d"):
            (self.folder / "texts" / f"{name}.txt").write_text("word " * 20000)

    def program(self, path, text):
        (self.folder / path).write_text(text)
        (self.folder / path).chmod(0o755)

    def calls(self, forward_seconds, run_seconds):
        """The finished script, and what longspan was called with by command."""
        stand_in = NOTES_ITS_CALLS.replace("PASS", str(forward_seconds)).replace("RUN", str(run_seconds))
        self.program("build/longspan", stand_in)
        (self.folder / "calls").unlink(missing_ok=True)
        done = subprocess.run([self.folder / "tools/quickstart.sh", self.folder / "texts"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = {}
        for call in (self.folder / "calls").read_text().splitlines():
            calls.setdefault(call.split()[0], []).append(call)
        return done, calls

    def test_measures_the_same_keys_and_documents_three_times(self):
        done, calls = self.calls(forward_seconds=1, run_seconds=100)
        (train,) = calls["train"]
        self.assertIn("train.seq_len=16384 packing.target_length=16384 rope.factor=2 stages.0.steps=16 stages.1.steps=2", train)
        self.assertEqual([call.split(" --label ")[1].split()[0] for call in calls["eval"]], ["base", "yarn-untrained", "trained"])
        for call in calls["eval"]:
            self.assertIn("--task perplexity,needle --set needle.needles=16 --lengths 4096,8192,16384 ", call)
            self.assertEqual(call.count("--text"), 2)  # of four documents two are held out
        (needles,) = calls["data-needles"]
        self.assertEqual([Path(text).name for text in needles.split()[7:]], ["a.txt", "b.txt"])
        prepared = calls["prepare"][0].split()[5:]
        self.assertEqual([Path(text).name for text in prepared], ["a.txt", "b.txt", "needles.jsonl"])
        (report,) = calls["report"]
        self.assertIn("base.json runs/quickstart/yarn-untrained.json runs/quickstart/trained.json", report)
        self.assertIn("on 2 documents that were not trained on and 16 keys hidden in them", done.stdout)

    def test_a_slower_machine_does_less(self):
        # Three models read two documents and the text with 16 keys, which count as a text more, at a quarter, a half and the whole
        # of the length: its share of the products, and the square of that of attention.
        seconds = 3 * 4 * ((1 / 4 + 1 / 2 + 1) + (1 / 16 + 1 / 4 + 1))
        for run_seconds, size in ((719 - seconds, "stages.0.steps=16"), (722 - seconds, "stages.0.steps=10")):
            _, calls = self.calls(forward_seconds=1, run_seconds=run_seconds)
            self.assertIn(size, calls["train"][0])
        done, calls = self.calls(forward_seconds=40, run_seconds=2000)
        self.assertIn("train.seq_len=12288 packing.target_length=12288 rope.factor=1.5 stages.0.steps=6 stages.1.steps=1", calls["train"][0])
        self.assertIn("needle.needles=10 --lengths 4096,8192,12288 ", calls["eval"][0])
        self.assertIn("to 12288 tokens (YaRN x1.5)", done.stderr)

    def test_the_real_plan_has_the_figures_asked_for_where_they_are_looked_for(self):
        """The last line of each name is that of the stage of whole rows, or of the run."""
        model, text, store, rates = (self.folder / name for name in ("base", "text.txt", "train.h5", "rates.json"))
        run(LONGSPAN, "convert", gguf_path(), model)
        text.write_text("word " * 20000)
        run(LONGSPAN, "prepare", text, "--model", model, "--out", store)
        rates.write_text(json.dumps(RATES))
        told = run(LONGSPAN, "plan", RECIPE, f"model.path={model}", f"data.path={store}", f"output.dir={self.folder / 'run'}", "--rates",
                   rates, "--json")  # fmt: skip
        last = dict(line.split(":") for line in told.translate(str.maketrans("", "", ' ,"')).splitlines() if line.count(":") == 1)
        plan = json.loads(told)
        whole_rows = plan["stages"][-1]
        self.assertEqual((whole_rows["seq_len"], len(plan["stages"])), (16384, 2))
        for name in ("linears_forward", "attention_forward"):
            self.assertEqual(float(last[name]), whole_rows["step_seconds"][name])
        self.assertEqual(float(last["run_seconds"]), plan["run_seconds"])

    def test_an_earlier_run_is_kept(self):
        kept = self.folder / "runs/quickstart/merged"
        kept.mkdir(parents=True)
        for number in (1, 2):
            (self.folder / "runs/quickstart/note").write_text(str(number))
            done, _ = self.calls(forward_seconds=1, run_seconds=100)
            self.assertIn(f"an earlier run is now runs/quickstart-{number}", done.stderr)
            self.assertEqual((self.folder / f"runs/quickstart-{number}/note").read_text(), str(number))
            self.assertFalse((self.folder / "runs/quickstart/note").exists())
        self.assertTrue((self.folder / "runs/quickstart-1/merged").is_dir())


if __name__ == "__main__":
    known, rest = command_line().parse_known_args()
    LONGSPAN = known.longspan
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
