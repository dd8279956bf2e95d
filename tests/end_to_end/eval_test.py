"""Holds eval, generate and logits against transformers, on SmolLM2 in float32.

    eval_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import math
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

from program import checked, command_line
from smollm2 import gguf_path

LONGSPAN = None
TARGETS = 64


def essay(seed):
    """Prose of no author, about 800 tokens; it only has to be text."""
    generator = torch.Generator().manual_seed(seed)
    names = ["The mill", "Her brother", "A river", "The old school", "Their captain", "Nobody"]
    verbs = ["stood beside", "remembered", "was hidden by", "could not see", "belonged to"]
    things = ["the harbour", "a field of barley", "the naïve letter", "twelve windows", "the sea"]
    picks = torch.randint(0, 1000, (100, 3), generator=generator).tolist()
    return " ".join(
        f"{names[a % 6]} {verbs[b % 5]} {things[c % 5]} in 18{a % 90 + 10}." for a, b, c in picks
    )


def longspan(*arguments):
    return subprocess.run([LONGSPAN, *map(str, arguments)], capture_output=True, timeout=900)


class EvalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="longspan-eval-test-")
        cls.folder = Path(cls.temporary.name)
        cls.base = cls.folder / "base"
        converted = longspan("convert", gguf_path(), cls.base, "--dtype", "float32")
        assert converted.returncode == 0, converted.stderr.decode()
        cls.tokenizer = AutoTokenizer.from_pretrained(cls.base)
        cls.model = AutoModelForCausalLM.from_pretrained(cls.base, dtype=torch.float32).eval()

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def run_longspan(self, *arguments):
        result = longspan(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result.stdout

    def expected_loss(self, window):
        """transformers' own loss, with all but the targets ignored."""
        ids = torch.tensor([window])
        labels = ids.clone()
        labels[:, :-TARGETS] = -100
        with torch.no_grad():
            return self.model(input_ids=ids, labels=labels).loss.item()

    def test_perplexity_equals_the_losses_of_transformers(self):
        paths = []
        for seed in (1, 2):
            paths.append(self.folder / f"essay, part {seed}.txt")  # a comma in a name is no list
            paths[-1].write_text(essay(seed))
        page = self.folder / "page.html"
        stdout = self.run_longspan(
            "eval", self.base, "--task", "perplexity", "--lengths", "256,512", "--targets", TARGETS,
            "--dtype", "float32", "--json", "--html", page, "--text", *paths)  # fmt: skip
        rows = json.loads(stdout)["tasks"][0]["rows"]
        self.assertEqual([row["length"] for row in rows], [256, 512])
        for row in rows:
            expected, scored_bytes = [], 0
            for path in paths:
                ids = self.tokenizer(path.read_text(), add_special_tokens=False).input_ids
                self.assertGreaterEqual(len(ids), 512)
                expected.append(self.expected_loss(ids[512 - row["length"] : 512]))
                # A byte-level token has a letter a byte.
                scored_bytes += sum(map(len, self.tokenizer.convert_ids_to_tokens(ids[512 - TARGETS : 512])))
            for measured, loss in zip(row["document_nll"], expected, strict=True):
                self.assertAlmostEqual(measured, loss, delta=1e-4)
            self.assertAlmostEqual(row["nll"], sum(expected) / 2, delta=1e-4)
            self.assertAlmostEqual(row["ppl"], math.exp(row["nll"]), delta=1e-6)
            self.assertEqual(row["tokens_scored"], 2 * TARGETS)
            bits = row["nll"] * row["tokens_scored"] / math.log(2)
            self.assertAlmostEqual(row["bits_per_byte"], bits / scored_bytes, delta=1e-9)
        self.assertIn("</html>", page.read_text())
        checked("losses of eval", "transformers", detail="SmolLM2-135M")

    def test_passkey_is_found_where_the_model_is_at_home(self):
        stdout = self.run_longspan(
            "eval", self.base, "--task", "passkey", "--lengths", "256", "--depths", "0.5",
            "--trials", "2", "--dtype", "float32", "--json")  # fmt: skip
        task = json.loads(stdout)["tasks"][0]
        row = task["rows"][0]
        self.assertEqual((row["correct"], row["trials"]), (2, 2))
        self.assertLess(row["answer_nll"], 0.5)

        by_set = self.run_longspan(
            "eval", self.base, "--task", "passkey", "--lengths", "256", "--set", "passkey.depths=[0.5]",
            "--set", "passkey.trials=2", "--dtype", "float32", "--json")  # fmt: skip
        other = json.loads(by_set)["tasks"][0]
        self.assertEqual(other["protocol"], task["protocol"])
        self.assertEqual(other["rows"][0]["answer_nll"], row["answer_nll"])

    def test_greedy_generation_equals_that_of_transformers(self):
        prompt = "The history of the lighthouse begins in a small town on the coast, where"
        ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            whole = self.model.generate(ids, max_new_tokens=20, do_sample=False)
        expected = self.tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
        stdout = self.run_longspan(
            "generate", self.base, "--prompt", prompt, "--max-new-tokens", "20", "--dtype", "float32")
        self.assertEqual(stdout.decode(), expected + "\n")
        checked("greedy generation", "transformers", detail="SmolLM2-135M")

    def test_generation_ends_at_the_tokens_of_generation_config(self):
        prompt = "The history of the lighthouse begins in a small town on the coast, where"
        ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            free = self.model.generate(ids, max_new_tokens=20, do_sample=False)[0, ids.shape[1] :].tolist()
        folder = self.folder / "stops"
        shutil.copytree(self.base, folder)
        config = folder / "generation_config.json"
        config.write_text(json.dumps({"eos_token_id": [2, free[9]]}))
        arguments = ["generate", folder, "--prompt", prompt, "--max-new-tokens", "20", "--dtype", "float32"]
        stdout = self.run_longspan(*arguments)
        expected = self.tokenizer.decode(free[: free.index(free[9])], skip_special_tokens=True)
        self.assertEqual(stdout.decode(), expected + "\n")
        config.write_text("{")
        broken = longspan(*arguments)
        self.assertEqual(broken.returncode, 5)
        self.assertIn("generation_config.json", broken.stderr.decode())

    def test_generation_beyond_the_context_is_warned_of(self):
        arguments = ["generate", self.base, "--prompt", "The sea", "--temperature", "0", "--dtype", "float32"]
        for new_tokens, warned in (("4", False), ("9000", True)):
            process = subprocess.Popen(
                [LONGSPAN, *map(str, arguments), "--max-new-tokens", new_tokens],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
            process.stdout.read(1)
            process.stdout.close()  # it stops when nobody reads
            said = process.stderr.read().decode()
            process.stderr.close()
            process.wait(timeout=600)
            self.assertEqual("beyond the model's context of 8,192" in said, warned, said)

    def test_logits_equal_those_of_transformers(self):
        ids = self.tokenizer(essay(3), add_special_tokens=False).input_ids[:100]
        (self.folder / "ids.json").write_text(json.dumps(ids))
        out = self.folder / "logits.safetensors"
        self.run_longspan(
            "logits", self.base, "--ids", self.folder / "ids.json", "--out", out, "--dtype", "float32")
        with torch.no_grad():
            expected = self.model(input_ids=torch.tensor([ids])).logits[0]
        torch.testing.assert_close(load_file(out)["logits"], expected, atol=2e-3, rtol=0)

    def test_a_sliding_window_is_what_its_mask_says(self):
        ids = self.tokenizer(essay(3), add_special_tokens=False).input_ids[:100]
        (self.folder / "ids.json").write_text(json.dumps(ids))

        def logits(attention):
            out = self.folder / "windowed.safetensors"
            self.run_longspan("logits", self.base, "--ids", self.folder / "ids.json", "--out", out,
                              "--dtype", "float32", "--attention", attention)  # fmt: skip
            return load_file(out)["logits"]

        full = logits("full")
        for window in (len(ids), 4096):
            windowed = logits(f"{{pattern: sliding_window, window: {window}, sinks: 0}}")
            torch.testing.assert_close(windowed, full, atol=1e-4, rtol=0)
        query, key = torch.arange(len(ids))[:, None], torch.arange(len(ids))[None]
        seen = (key <= query) & ((key > query - 16) | (key < 2))
        mask = torch.where(seen, 0.0, torch.finfo(torch.float32).min)[None, None]
        with torch.no_grad():
            expected = self.model(input_ids=torch.tensor([ids]), attention_mask=mask).logits[0]
        windowed = logits("{pattern: sliding_window, window: 16, sinks: 2}")
        torch.testing.assert_close(windowed, expected, atol=2e-3, rtol=0)
        self.assertGreater((windowed - full).abs().max().item(), 0.1)

    def test_report_compares_equal_protocols_and_refuses_others(self):
        text = self.folder / "essay.txt"
        text.write_text(essay(4))
        yarn = ["--rope", "{rope_type: yarn, factor: 2.0}", "--label", "yarn"]
        for name, more in (("base", []), ("yarn", yarn), ("other", ["--label", "o", "--targets", "8"])):
            self.run_longspan(
                "eval", self.base, "--lengths", "128", "--targets", TARGETS, "--text", text,
                "--out", self.folder / f"{name}.json", *more)  # fmt: skip
        result = json.loads((self.folder / "yarn.json").read_text())
        self.assertEqual(result["rope"]["rope_type"], "yarn")
        self.assertEqual(result["max_position_embeddings"], 16384)
        page = self.folder / "report.html"
        table = self.run_longspan(
            "report", self.folder / "base.json", self.folder / "yarn.json", "--html", page)
        self.assertIn("minus that of 'base'", table.decode())
        self.assertIn("yarn", page.read_text())
        refused = longspan("report", self.folder / "base.json", self.folder / "other.json")
        self.assertEqual(refused.returncode, 4)
        self.assertIn("targets_per_document: 64 against 8", refused.stderr.decode())

    def test_errors_say_what_to_do(self):
        text = self.folder / "short.txt"
        text.write_text("A short text.")
        for code, says, *arguments in (
            (4, "4 tokens", "eval", self.base, "--lengths", "256", "--text", text, "--targets", "8"),
            (2, "--text", "eval", self.base, "--lengths", "256"),
            (2, "did you mean 'perplexity'?", "eval", self.base, "--task", "perplexty"),
            (2, "rope_type", "eval", self.base, "--rope", "{rope_type: yarm}", "--text", text),
            (2, "--prompt", "generate", self.base),
            (5, "no-such-model", "generate", "no-such-model", "--prompt", "x"),
            (4, "report.json", "report", self.folder / "report.json"),
            (2, "--temperature: '0,7' is not a number", "generate", self.base, "--prompt", "x", "--temperature", "0,7"),
            (2, "--threads: '3x' is not a whole number", "generate", self.base, "--prompt", "x", "--threads", "3x"),
            (2, 'passkey.depths.1: expected a number, got "x"', "eval", self.base, "--task", "passkey", "--depths", "0,x"),
            (2, "did you mean 'trials'?", "eval", self.base, "--task", "passkey", "--set", "passkey.trails=5"),
            (2, "trials: 0 is out of range", "eval", self.base, "--task", "passkey", "--set", "passkey.trials=0"),
            (2, "did you mean 'passkey'?", "eval", self.base, "--task", "passkey", "--set", "paskey.trials=5"),
            (2, "did you mean 'full'?", "eval", self.base, "--text", text, "--arm", "ful"),
            (2, "full.keys: unknown key", "eval", self.base, "--text", text, "--set", "full.keys=5"),
            (2, "is not among the tasks", "eval", self.base, "--text", text, "--set", "passkey.trials=5"),
            (2, "expected one of the two", "eval", self.base, "--task", "passkey", "--trials", "2",
             "--set", "passkey.trials=5"),
            (2, "expected NAME.KEY=VALUE", "eval", self.base, "--task", "passkey", "--set", "passkey.trials"),
            (2, "did you mean 'window'?", "generate", self.base, "--prompt", "x",
             "--attention", "{pattern: sliding_window, widow: 9}"),
            (2, "expected one of full", "generate", self.base, "--prompt", "x", "--attention", "ful"),
            (2, "top_p 2 is not", "generate", "no-such-model", "--prompt", "x", "--top-p", "2"),
            (2, "there is no --rope", "generate", self.base, "--prompt", "x", "--on-scaled", "replace"),
            (2, "expected a map such as", "generate", "no-such-model", "--prompt", "x", "--rope", "yarn"),
            (2, "--group-size: is for", "generate", self.base, "--prompt", "x", "--group-size", "64"),
            (2, "full, sliding_window or focused_memory", "generate", self.base, "--prompt", "x", "--attention", "shifted_sparse"),
            (2, "full, sliding_window or focused_memory", "eval", self.base, "--task", "passkey", "--attention", "shifted_sparse"),
            # What a second task cannot do is said before the first is run.
            (2, "--text", "eval", "no-such-model", "--task", "passkey,perplexity"),
            (2, "there twice", "eval", "no-such-model", "--task", "passkey,passkey"),
            (2, "is read here", "eval", self.base, "--text", text, "--targets", "8", "--out", text),
            (2, "is read here", "eval", self.base, "--text", text, "--html", self.base / "config.json"),
            (2, "expected two files", "eval", self.base, "--text", text, "--out", "x", "--html", "./x"),
        ):
            with self.subTest(arguments):
                result = longspan(*arguments)
                self.assertEqual(result.returncode, code, result.stderr.decode())
                self.assertIn(says, result.stderr.decode())
        self.assertEqual(text.read_text(), "A short text.")

    def test_a_task_that_cannot_be_is_said_before_the_first_is_run(self):
        text, out = self.folder / "essay.txt", self.folder / "partial.json"
        text.write_text(essay(4))
        # 64 tokens are enough to score 16 of, and too few for the text around a key.
        result = longspan(
            "eval", self.base, "--task", "perplexity,passkey", "--lengths", "64", "--targets", "16", "--text", text,
            "--out", out)  # fmt: skip
        self.assertEqual(result.returncode, 2, result.stderr.decode())
        self.assertIn("length 64 is too short", result.stderr.decode())
        self.assertEqual(list(self.folder.glob("partial*")), [])


if __name__ == "__main__":
    known, rest = command_line().parse_known_args()
    LONGSPAN = known.longspan
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
