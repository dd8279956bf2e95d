"""`longspan data-score` against its formula with transformers' losses, and a recipe that keeps documents by it.

    data_score_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import math
import signal
import subprocess
import sys
import time

try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

import training_case
from program import checked

LENGTH, SHORT, STEP = 64, 12, 6


def losses_of(model, ids):
    """Of each token but the first, in float64."""
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]])).logits[0]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist()


def score_of(model, ids):
    """The mean over tokens of exp(-L) (S - L), in passages of LENGTH + 1 tokens that share one."""
    total, count = 0.0, 0
    for begin in range(0, len(ids) - 1, LENGTH):
        passage = ids[begin : begin + LENGTH + 1]
        far = losses_of(model, passage)
        count += len(far)
        for start in range(STEP, len(passage) - SHORT, STEP):
            near = losses_of(model, passage[start : start + SHORT + STEP])[SHORT - 1 :]
            for loss, short in zip(far[start + SHORT - 1 :], near):
                total += math.exp(-loss) * (short - loss)
    return total / count


class DataScoreTest(training_case.TrainingCase):
    def score(self, *options):
        out = self.folder / "scores.jsonl"
        sizes = ["--length", LENGTH, "--short", SHORT, "--step", STEP, "--dtype", "float32"]
        result = self.succeeds("data-score", self.folder / "base", "--data", self.folder / "tokens.h5", "--out", out,
                               *sizes, *options)  # fmt: skip
        return out, result

    def test_equals_the_formula_with_losses_of_transformers(self):
        out, result = self.score("--json")
        self.assertEqual(result.stdout, out.read_text())
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        self.assertEqual([line["document"] for line in lines], [0, 1, 2, 3])
        tokenizer = AutoTokenizer.from_pretrained(self.folder / "base")
        model = AutoModelForCausalLM.from_pretrained(self.folder / "base", dtype=torch.float64)
        for number in (0, 3):
            ids = tokenizer((self.folder / f"{number}.txt").read_text())["input_ids"] + [tokenizer.eos_token_id]
            self.assertEqual(lines[number]["tokens"], len(ids))
            self.assertAlmostEqual(lines[number]["score"], score_of(model, ids), delta=1e-6)
        checked("document scores", "transformers", detail="LongFilter's formula")

    def test_goes_on_from_what_is_known_and_shows_the_highest_first(self):
        out, _ = self.score()
        before = out.read_text()
        out.unlink()
        state = self.folder / "scores.jsonl.state"
        identity, *answers = state.read_text().splitlines(keepends=True)
        self.assertEqual(len(answers), 4)
        state.write_text("".join([identity, *answers[:2], answers[2][:9]]))  # killed as it wrote the third
        _, result = self.score()
        self.assertIn("2 scores are known", result.stderr)
        self.assertEqual(out.read_text(), before)
        shown = [line.split() for line in result.stdout.splitlines()]
        shown = [float(cells[-1]) for cells in shown if cells and cells[0].endswith(".txt")]
        self.assertEqual(len(shown), 4)
        self.assertEqual(shown, sorted(shown, reverse=True))
        self.fails(2, "data-score", self.folder / "base", "--data", self.folder / "tokens.h5", "--out", out, "--length",
                   "64", "--short", "60", "--step", "10", says="are all the context that passages of 64 tokens")  # fmt: skip

    def test_a_file_that_it_did_not_write_is_kept(self):
        corpus = self.folder / "corpus.jsonl"
        corpus.write_text('{"text": "hours of work"}\n')
        arguments = ["data-score", self.folder / "base", "--data", self.folder / "tokens.h5", "--out", corpus]
        self.fails(2, *arguments, says="corpus.jsonl: exists; give --force to replace it")
        self.assertIn("hours of work", corpus.read_text())

    def test_its_state_is_a_file_of_its_own(self):
        out = self.folder / "one.jsonl"
        self.fails(2, "data-score", self.folder / "base", "--data", self.folder / "tokens.h5", "--out", out,
                   "--state", self.folder / "none" / ".." / "one.jsonl", says="expected two files")  # fmt: skip
        self.assertFalse(out.exists())

    def test_scores_by_another_window_are_other_scores(self):
        arguments = ["data-score", self.folder / "base", "--data", self.folder / "tokens.h5", "--out", self.folder / "near.jsonl",
                     "--length", LENGTH, "--short", SHORT, "--step", STEP, "--dtype", "float32", "--attention"]  # fmt: skip
        self.succeeds(*arguments, "{pattern: sliding_window, window: 16}")
        self.fails(8, *arguments, "{pattern: sliding_window, window: 24}", says="its attention is")

    def test_a_killed_run_leaves_nothing_half_written_and_goes_on(self):
        whole, _ = self.score()
        out = self.folder / "killed.jsonl"
        state = self.folder / "killed.jsonl.state"
        command = [self.program, "data-score", self.folder / "base", "--data", self.folder / "tokens.h5", "--out", out,
                   "--length", LENGTH, "--short", SHORT, "--step", STEP, "--dtype", "float32"]  # fmt: skip
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (state.exists() and state.read_text().count("\n") >= 2):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), -signal.SIGKILL, "all was scored before it could be killed")
        self.assertFalse(out.exists())
        result = self.longspan(*command[1:])
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("; 0 scores are known", result.stderr)
        self.assertEqual(out.read_bytes(), whole.read_bytes())
        self.assertEqual([path for path in self.folder.rglob("*") if ".part" in path.name], [])

    def test_refuses_a_store_before_it_reads_the_weights(self):
        def lose_a_tensor(weights):
            tensors = load_file(weights)
            del tensors["model.norm.weight"]
            save_file(tensors, weights, {"format": "pt"})

        broken = self.changed_base("no-norm", lose_a_tensor)
        for name, says in (("0.txt", "0.txt"), ("missing.h5", "missing.h5")):
            self.fails(4, "data-score", broken, "--data", self.folder / name, "--out", self.folder / "out.jsonl", says=says)
        store = ["--data", self.folder / "tokens.h5", "--out", self.folder / "out.jsonl"]
        self.fails(5, "data-score", broken, *store, says="model.norm.weight")
        training_case.make_tokenizer(broken, "neither these words nor those " * 100)
        self.fails(4, "data-score", broken, *store, says="was made with another tokenizer")

    def test_a_recipe_trains_on_the_highest_alone(self):
        scores, _ = self.score()
        lines = [json.loads(line) for line in scores.read_text().splitlines()]
        recipe = self.recipe("kept", shifted_steps=1, full_steps=1)
        result = self.succeeds("train", recipe, f"data.scores={scores}", "data.keep_share=0.4")
        self.assertIn("left out: 2 documents", result.stderr)
        best = max(lines, key=lambda line: line["score"])
        for line in lines:
            line["score"] = 1.0 if line is best else 0.0
        scores.write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.fails(8, "train", recipe, "--resume", f"data.scores={scores}", "data.keep_share=0.25",
                   says="data.keep_share: ")  # fmt: skip
        scores.write_text(scores.read_text().replace('"document": 0', '"document": 9'))
        self.fails(4, "train", recipe, "--resume", f"data.scores={scores}", "data.keep_share=0.4", says="scores.jsonl:1: ")


if __name__ == "__main__":
    training_case.main()
