"""Holds the tasks of eval against transformers, on SmolLM2 in float32: perplexities by each protocol, of its first layers alone,
and greedy answers.

    eval_tasks_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import collections
import json
import math
import re
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

from eval_test import essay
from program import checked, command_line, refusal, run
from smollm2 import gguf_path, write_shallow

LONGSPAN = None
TOKENS = 400  # of each document
LENGTH = 128
STRIDE = 48
LAYERS = 6  # of the shallow model
SCORERS = {  # of tasks' metrics, by trainer/eval/tasks/scorers.h
    "number_prefix": lambda answer, references: max(bool(re.match(rf"\D*{key}", answer)) for key in references),
    "substring": lambda answer, references: max(value.lower() in answer.lower() for value in references),
}


class EvalTasksTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="longspan-eval-tasks-test-")
        cls.folder = Path(cls.temporary.name)
        cls.base, cls.shallow = cls.folder / "base", cls.folder / "shallow"
        run(LONGSPAN, "convert", gguf_path(), cls.base, "--dtype", "float32")
        write_shallow(cls.base, cls.shallow, LAYERS)
        cls.tokenizer = AutoTokenizer.from_pretrained(cls.base)
        cls.models = {folder: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
                      for folder in (cls.base, cls.shallow)}  # fmt: skip
        cls.paths, cls.documents = [], []
        for seed in (1, 2):
            cls.paths.append(cls.folder / f"essay {seed}.txt")
            cls.paths[-1].write_text(essay(seed))
            cls.documents.append(cls.tokenizer(essay(seed), add_special_tokens=False).input_ids[:TOKENS])

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def evaluate_all(self, tasks, *arguments, model):
        command = [LONGSPAN, "eval", model, "--task", tasks, "--dtype", "float32", "--json"]
        return json.loads(run(*command, *arguments, timeout=1500))["tasks"]

    def evaluate(self, task, *arguments, model=None):
        (result,) = self.evaluate_all(task, *arguments, model=model or self.shallow)
        return result["rows"]

    @staticmethod
    def texts(task, *paths, key="text"):
        return "--set", f"{task}.{key}={json.dumps(list(map(str, paths)))}"

    def losses(self, ids, model=None):
        """The loss of each token but the first."""
        with torch.no_grad():
            logits = self.models[model or self.shallow](torch.tensor([ids])).logits[0, :-1]
        return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist()

    def sliding(self, ids):
        """The losses of the new tokens of each window, as YaRN's perplexity.py goes through a text."""
        windows, end_before = [], 1
        for begin in range(0, len(ids), STRIDE):
            end = min(begin + LENGTH, len(ids))
            windows.append(self.losses(ids[begin:end])[-(end - end_before) :])
            end_before = end
            if end == len(ids):
                return windows

    def windows_of(self, protocol):
        if protocol == "chunked":
            starts = range(0, TOKENS, LENGTH)
            return [self.losses(ids[begin : begin + LENGTH]) for ids in self.documents for begin in starts]
        if protocol == "longlora":  # get_as_batch() of its eval.py
            ids = sum(self.documents, [])
            starts = list(range(0, len(ids) - LENGTH, STRIDE))
            starts.pop()
            return [self.losses(ids[begin : begin + LENGTH]) for begin in starts]
        return [window for ids in self.documents for window in self.sliding(ids)]

    def test_windows_equal_transformers_by_each_protocol(self):
        for protocol in ("chunked", "longlora", "yarn", "press"):
            with self.subTest(protocol):
                windows = self.windows_of(protocol)
                if protocol in ("longlora", "yarn"):
                    expected = sum(sum(window) / len(window) for window in windows) / len(windows)
                else:
                    expected = sum(map(sum, windows)) / sum(map(len, windows))
                (row,) = self.evaluate(
                    "window_perplexity", "--lengths", LENGTH, *self.texts("window_perplexity", *self.paths),
                    "--set", f"window_perplexity.protocol={protocol}", "--set", f"window_perplexity.stride={STRIDE}",
                    "--set", f"window_perplexity.tokens={TOKENS}")  # fmt: skip
                self.assertAlmostEqual(row["nll"], expected, delta=1e-4)
                self.assertAlmostEqual(row["ppl"], math.exp(expected), delta=1e-4 * math.exp(expected))
                self.assertEqual(row["tokens_scored"], sum(map(len, windows)))
                checked("perplexity of windows", "transformers", detail=protocol)

    def test_losses_by_position_equal_transformers(self):
        rows = self.evaluate("position_loss", "--lengths", TOKENS, *self.texts("position_loss", *self.paths))
        by_document = [[0.0, *self.losses(ids)] for ids in self.documents]
        self.assertEqual([row["length"] for row in rows], [64, 256, TOKENS])
        for row in rows:
            span = slice(row["begin"], row["length"])
            for measured, losses in zip(row["document_nll"], by_document, strict=True):
                self.assertAlmostEqual(measured, sum(losses[span]) / len(losses[span]), delta=1e-4)
        checked("loss by position", "transformers")

    def test_long_perplexity_follows_its_formula(self):
        short, block, alpha = 32, 64, 0.25
        (row,) = self.evaluate(
            "longppl", "--lengths", TOKENS, *self.texts("longppl", *self.paths),
            "--set", f"longppl.short={short}", "--set", f"longppl.block={block}", "--set", f"longppl.alpha={alpha}",
            "--set", "longppl.beta=-6")  # fmt: skip
        chosen = []
        for ids in self.documents:
            far = [None, *self.losses(ids)]
            for begin in range(short, TOKENS, block):
                near = self.losses(ids[begin - short : begin + block])[-len(ids[begin : begin + block]) :]
                chosen += [far[begin + i] for i, loss in enumerate(near)
                           if loss - far[begin + i] > alpha and far[begin + i] < 6]  # fmt: skip
        self.assertGreater(len(chosen), 10)
        self.assertEqual(row["tokens_scored"], len(chosen))
        self.assertAlmostEqual(row["nll"], sum(chosen) / len(chosen), delta=1e-4)
        checked("LongPPL", "transformers")

    def test_greedy_answers_equal_transformers(self):
        """Questions whose right answers are what transformers generates."""
        items, losses = [], []
        for number in range(16):
            context = essay(100 + number)[: 200 + 10 * number]
            prompt = f"{context}\n\nQuestion: Who stood beside the harbour?\nAnswer:"
            ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
            with torch.no_grad():
                out = self.models[self.base].generate(ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]
            answer = self.tokenizer.decode(out, skip_special_tokens=True)
            if not answer.strip():
                continue
            items.append({"context": context, "question": "Who stood beside the harbour?", "answers": [answer.strip()],
                          "metric": "exact", "max_new_tokens": 8, "subset": f"{number:02}"})  # fmt: skip
            whole = self.tokenizer(f"{prompt} {answer.strip()}", add_special_tokens=False).input_ids
            fed = self.losses(whole, self.base)[ids.shape[1] - 1 :]
            losses.append(sum(fed) / len(fed))
        self.assertGreater(len(items), 8)
        wrong = dict(items[0], answers=["nobody at all"], subset="wrong")
        file = self.folder / "items.jsonl"
        file.write_text("".join(json.dumps(item) + "\n" for item in [*items, wrong]))
        rows = self.evaluate("jsonl", "--lengths", "512", *self.texts("jsonl", file, key="items"), model=self.base)
        self.assertEqual([row["subset"] for row in rows], [item["subset"] for item in [*items, wrong]])
        for row, loss in zip(rows[:-1], losses, strict=True):
            self.assertEqual(row["score"], 1, row)
            self.assertAlmostEqual(row["answer_nll"], loss, delta=1e-4)
        self.assertEqual(rows[-1]["score"], 0)
        checked("greedy answers of eval", "transformers", detail=f"{len(items)} items")

    def test_greedy_answers_to_drawn_items_equal_transformers(self):
        """Questions of two tasks, whatever the model says to them, and their scores by the lines of items."""
        drawn, told = self.folder / "drawn.jsonl", self.folder / "told.jsonl"
        results = self.evaluate_all("passkey,needle", "--lengths", "400", "--trials", "1", "--set", "needle.trials=2",
                                    "--set", "needle.needles=5", "--items-out", drawn, "--answers-out", told,
                                    model=self.base)  # fmt: skip
        items = [json.loads(line) for line in drawn.read_text().splitlines()]
        lines = [json.loads(line) for line in told.read_text().splitlines()]
        answers = [line for line in lines if "arm" in line]
        self.assertEqual([line["task"] for line in lines if "protocol" in line], ["passkey", "needle"])
        self.assertEqual(len(items), 5 * 1 + 5 * 2)
        scores = collections.defaultdict(list)
        for item, answer in zip(items, answers, strict=True):
            score = SCORERS[item["metric"]](answer["text"], item["references"])
            self.assertEqual((answer["metric"], answer["score"]), (item["metric"], score))
            scores[item["task"], item["depth"]].append(score)
            self.assertEqual((item["task"], item["question"]), (answer["task"], answer["question"]))
            prompt = item["context"] + item["question"]
            ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
            with torch.no_grad():
                out = self.models[self.base].generate(ids, max_new_tokens=item["max_new_tokens"], do_sample=False)[0, ids.shape[1] :]
            self.assertEqual(answer["text"], self.tokenizer.decode(out, skip_special_tokens=True), item["task"])
            fed = prompt + item["answer_prefix"] + item["answers"][0]
            losses = self.losses(self.tokenizer(fed, add_special_tokens=False).input_ids, self.base)[ids.shape[1] - 1 :]
            self.assertAlmostEqual(answer["nll"], sum(losses) / len(losses), delta=1e-4)
        for result in results:
            for row in result["rows"]:
                self.assertEqual(row["scores"], scores[result["task"], row["depth"]])
        checked("greedy answers of eval", "transformers", detail=f"{len(items)} drawn items")

    def test_each_task_of_items_is_asked_and_shown(self):
        out, page = self.folder / "all.json", self.folder / "all.html"
        tasks = ["needle", "kv", "threading", "ruler", "cloze"]
        text = self.folder / "words.txt"
        text.write_text(re.sub(r" in \d+\.", ".", essay(3)))  # sentences that end with words
        run(LONGSPAN, "eval", self.shallow, "--task", ",".join(tasks), "--lengths", "1K", "--out", out, "--html", page,
            *self.texts("needle", text), *self.texts("cloze", text), "--set", "needle.needles=2",
            "--set", "kv.questions=2", "--set", "threading.threads=2", "--set", "ruler.samples=1",
            "--set", "ruler.tasks=[niah_single_1, vt]", "--set", "cloze.questions=3", "--set", "cloze.context=128",
            timeout=1500)  # fmt: skip
        result = json.loads(out.read_text())
        self.assertEqual([task["task"] for task in result["tasks"]], tasks)
        for task in result["tasks"]:
            for row in task["rows"]:
                self.assertEqual(row["arm"], "full")
                self.assertLessEqual(row["low"], row["score"])
                self.assertLessEqual(row["score"], row["high"])
                self.assertLessEqual(row["tokens_read"], row["length"])
                self.assertEqual(len(row["scores"]), row["n"])
        run(LONGSPAN, "report", out, "--html", self.folder / "again.html")
        for title in ("Needles in a haystack", "Key-value retrieval", "Needle threading", "RULER", "Last words"):
            self.assertIn(title, page.read_text())

    def test_bad_items_are_an_error_with_their_place(self):
        file = self.folder / "bad.jsonl"
        file.write_text('{"context": "c", "question": "q", "answers": []}\n')
        said = refusal(LONGSPAN, "eval", self.shallow, "--task", "jsonl", *self.texts("jsonl", file, key="items"), code=4)
        self.assertIn("bad.jsonl: record 1.answers: has no text", said)
        said = refusal(LONGSPAN, "eval", self.shallow, "--task", "jsonl", code=2)
        self.assertIn("jsonl: no items given", said)


if __name__ == "__main__":
    known, rest = command_line().parse_known_args()
    LONGSPAN = known.longspan
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
