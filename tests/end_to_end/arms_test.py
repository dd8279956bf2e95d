"""Holds the arms of eval against the arm full, and a sliding window against transformers, on SmolLM2 in float32; where answers need
not be right, on its first layers alone. The arm full is held against transformers by eval_tasks_test.py.

    arms_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest.mock import patch

try:
    import torch
    from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer
    from transformers.models.llama import modeling_llama
except ImportError as missing:
    print(f"skipped: {missing}; tools/test.sh installs it")
    sys.exit(77)

from program import checked, command_line
from smollm2 import gguf_path, write_shallow

LONGSPAN = None
LAYERS = 4  # of the shallow model
COSTS = ("time_to_first_token_seconds", "tokens_per_second", "flops", "peak_memory_bytes", "kv_bytes")


def longspan(*arguments):
    return subprocess.run([LONGSPAN, *map(str, arguments)], capture_output=True, timeout=900)


def without_seconds(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def streaming_attention(rotary_emb, window, sinks):
    """Of keys not yet rotated: each query sees the first and the last, which stand where they are among these."""
    rotated = modeling_llama.apply_rotary_pos_emb

    def attend(module, query, key, value, attention_mask, scaling, **unused):
        groups = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        cos, sin = rotary_emb(query, torch.arange(window + sinks)[None])
        outputs = []
        for i in range(query.shape[2]):
            seen = [j for j in range(i + 1) if j < sinks or j > i - window]
            n = len(seen)
            q, _ = rotated(query[:, :, i : i + 1], query[:, :, i : i + 1], cos[:, n - 1 : n], sin[:, n - 1 : n])
            k, _ = rotated(key[:, :, seen], key[:, :, seen], cos[:, :n], sin[:, :n])
            outputs.append((q @ k.transpose(2, 3) * scaling).softmax(-1) @ value[:, :, seen])
        return torch.cat(outputs, dim=2).transpose(1, 2), None

    return attend


class ArmsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="longspan-arms-test-")
        cls.folder = Path(cls.temporary.name)
        cls.base, cls.shallow = cls.folder / "base", cls.folder / "shallow"
        converted = longspan("convert", gguf_path(), cls.base, "--dtype", "float32")
        assert converted.returncode == 0, converted.stderr.decode()
        write_shallow(cls.base, cls.shallow, LAYERS)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def eval(self, *arguments, model=None):
        result = longspan("eval", model or self.shallow, "--dtype", "float32", "--json", *arguments)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return json.loads(result.stdout)

    def passkey(self, *arguments, model=None):
        return self.eval("--task", "passkey", "--lengths", "600", "--depths", "0.5", "--trials", "2", *arguments, model=model)

    def test_result_has_what_scripts_rely_on(self):
        text = self.folder / "text.txt"
        text.write_text("".join(f"In {year} the harbour had {year % 97} ships and {year % 13} boats. " for year in range(1500, 1560)))
        arms = "full,yarn,sliding_window,shifted_sparse,block_memory,kv_cache,retrieval,downsample,truncate,no_context,oracle"
        result = self.eval(
            "--task", "perplexity,passkey", "--arm", arms, "--lengths", "400,500", "--trials", "1", "--depths", "0.5",
            "--targets", "32", "--text", text, "--set", "retrieval.budget_tokens=256",
            "--set", "downsample.budget_tokens=256", "--set", "truncate.budget_tokens=256")  # fmt: skip
        for key in ("weights_fingerprint", "longspan_version", "libtorch_version", "tokenizer_fingerprint", "cpu", "threads", "date"):
            self.assertTrue(result[key], key)
        self.assertEqual([task["task"] for task in result["tasks"]], ["perplexity", "passkey"])
        for task in result["tasks"]:
            measure = "nll" if task["task"] == "perplexity" else "score"
            known = [arm for arm in arms.split(",") if (task["task"], arm) != ("perplexity", "oracle")]
            self.assertEqual([(row["arm"], row["length"]) for row in task["rows"]],
                             [(arm, length) for arm in known for length in (400, 500)])  # fmt: skip
            for row in task["rows"]:
                self.assertLessEqual({"n", measure, "low", "high"}, set(row))
        self.assertEqual({(cost["arm"], cost["length"]) for cost in result["arms"]},
                         {(arm, length) for arm in arms.split(",") for length in (400, 500)})  # fmt: skip
        for cost in result["arms"]:
            self.assertLessEqual(set(COSTS), set(cost))
            self.assertGreater(cost["time_to_first_token_seconds"], 0)
            self.assertGreater(cost["peak_memory_bytes"], 150e6)  # the weights in float32
        full, quantized = ([c for c in result["arms"] if c["arm"] == arm][0] for arm in ("full", "kv_cache"))
        # Of the tokens that were read, in float32; with one scale of 16 bits for 32 numbers.
        self.assertAlmostEqual(full["kv_bytes"] / (LAYERS * 2 * 3 * 64 * 4), 400, delta=10)
        self.assertAlmostEqual(quantized["kv_bytes"] / full["kv_bytes"], 8.5 / 32, places=4)

    def test_a_terminal_shows_what_several_arms_take(self):
        for arms in ("full", "full,no_context"):
            result = longspan("eval", self.shallow, "--task", "passkey", "--lengths", "400,500", "--trials", "1", "--depths", "0.5",
                              "--arm", arms)  # fmt: skip
            self.assertEqual(result.returncode, 0, result.stderr.decode())
            for title in ("Time to the first token\n", "Generated tokens a second\n", "Keys and values\n"):
                self.assertEqual(title in result.stdout.decode(), "," in arms, title)

    def test_arms_that_leave_nothing_out_equal_full(self):
        result = self.passkey(
            "--arm", "full,block_memory,retrieval,own=retrieval,sliding_window,string,dual_chunk,twin=smaller_model",
            "--set", "block_memory.top_k=1000", "--set", "block_memory.initial_tokens=32",
            "--set", "block_memory.block_tokens=32", "--set", "block_memory.window_tokens=64",
            "--set", "block_memory.query_tokens=64", "--set", "retrieval.top_k=1000", "--set", "own.method=embedding",
            "--set", "own.top_k=1000", "--set", "sliding_window.window=600", "--model-of-arm", f"twin={self.shallow}")  # fmt: skip
        rows = result["tasks"][0]["rows"]
        self.assertEqual(len(rows), 8)
        for row in rows:
            self.assertAlmostEqual(row["answer_nll"], rows[0]["answer_nll"], delta=1e-4, msg=row["arm"])
            self.assertEqual(row["correct"], rows[0]["correct"], row["arm"])

    def test_sliding_window_stands_where_streamingllm_has_it(self):
        text = self.folder / "harbour.txt"
        text.write_text("".join(f"In {year} the harbour had {year % 97} ships and {year % 13} boats. " for year in range(1500, 1530)))
        result = self.eval(
            "--task", "perplexity", "--arm", "sliding_window,in_text=sliding_window", "--lengths", "200", "--targets", "64",
            "--text", text, "--set", "sliding_window.window=32", "--set", "in_text.window=32",
            "--set", "in_text.positions=text")  # fmt: skip
        nll = {row["arm"]: row["nll"] for row in result["tasks"][0]["rows"]}
        tokenizer = AutoTokenizer.from_pretrained(self.shallow)
        model = AutoModelForCausalLM.from_pretrained(self.shallow, dtype=torch.float32).eval()
        ids = tokenizer(text.read_text(), add_special_tokens=False, return_tensors="pt").input_ids[:, :200]
        labels = ids.clone()
        labels[:, :-64] = -100
        AttentionInterface.register("streaming", streaming_attention(model.model.rotary_emb, 32, 4))
        model.set_attn_implementation("streaming")
        as_they_are = patch.object(modeling_llama, "apply_rotary_pos_emb", lambda q, k, *unused: (q, k))
        with as_they_are, torch.no_grad():
            expected = model(input_ids=ids, labels=labels, use_cache=False).loss.item()
        self.assertAlmostEqual(nll["sliding_window"], expected, delta=1e-4)
        self.assertGreater(abs(nll["in_text"] - expected), 1e-3)
        checked("losses of eval with sinks in a rolling cache", "transformers", detail="SmolLM2-135M")

    def test_oracle_beats_no_context_and_retrieval_finds_what_truncation_cuts(self):
        result = self.passkey("--arm", "full,oracle,no_context,retrieval,truncate", "--set", "retrieval.budget_tokens=300",
                              "--set", "retrieval.chunk_tokens=64", "--set", "truncate.budget_tokens=300",
                              model=self.base)  # fmt: skip
        score = {row["arm"]: (row["score"], row["recall"]) for row in result["tasks"][0]["rows"]}
        self.assertEqual(score["full"], (1, None))
        self.assertEqual(score["oracle"], (1, 1))
        self.assertEqual(score["retrieval"], (1, 1))
        self.assertEqual(score["truncate"], (0, 0))
        self.assertEqual(score["no_context"], (0, 0))

    def test_yarn_is_the_model_opened_with_yarn(self):
        by_arm = self.passkey("--arm", "yarn", "--set", "yarn.factor=4")
        by_option = self.passkey("--rope", "{rope_type: yarn, factor: 4.0}")
        by_map = self.passkey("--arm", "rope", "--set", "rope.scaling={rope_type: yarn, factor: 4.0}")
        losses = [result["tasks"][0]["rows"][0]["answer_nll"] for result in (by_arm, by_option, by_map)]
        self.assertEqual(losses, [losses[0]] * 3)

    def kill_after_answers(self, arguments, out):
        """Kills a run as soon as its journal has a few answers."""
        journal = out.with_name(out.name + ".journal")
        process = subprocess.Popen([LONGSPAN, *map(str, arguments), "--out", out],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") >= 4):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        self.assertFalse(out.exists())

    def test_a_journal_knows_the_model_of_an_arm_by_what_it_holds(self):
        twin, out = self.folder / "twin", self.folder / "twin.json"
        shutil.copytree(self.shallow, twin)

        def with_model(model):
            return ["eval", self.shallow, "--task", "passkey", "--lengths", "400,600", "--depths", "0.5", "--trials", "4",
                    "--arm", "full,twin=full", "--model-of-arm", f"twin={model}"]  # fmt: skip

        self.kill_after_answers(with_model(twin), out)
        weights = max(twin.glob("*.safetensors"))
        with weights.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
        refused = longspan(*with_model(twin), "--out", out)
        self.assertEqual(refused.returncode, 8, refused.stderr.decode())
        self.assertIn("its weights_fingerprint of the model of twin is", refused.stderr.decode())
        # And without a model of its own.
        alone = longspan(*with_model(twin)[:-2], "--out", out)
        self.assertEqual(alone.returncode, 8, alone.stderr.decode())
        self.assertIn("its weights_fingerprint of the model of twin is", alone.stderr.decode())
        # The same weights elsewhere.
        again = longspan(*with_model(self.shallow), "--out", out)
        self.assertEqual(again.returncode, 0, again.stderr.decode())
        self.assertIn("answers are in", again.stderr.decode())
        settings = json.loads(out.read_text())["arm_settings"]["twin"]
        self.assertEqual(settings["model_contents"]["weights_fingerprint"], json.loads(out.read_text())["weights_fingerprint"])

    def test_a_run_that_is_killed_goes_on_with_the_same_result(self):
        arguments = ["eval", self.shallow, "--dtype", "float32", "--json", "--task", "passkey", "--lengths", "400,600",
                     "--depths", "0.5", "--trials", "4", "--arm", "full,retrieval", "--set", "retrieval.budget_tokens=256"]  # fmt: skip
        expected = json.loads(longspan(*arguments).stdout)["tasks"]
        out, journal = self.folder / "killed.json", self.folder / "killed.json.journal"
        answers = self.folder / "answers.jsonl"
        self.kill_after_answers(arguments, out)
        again = longspan(*arguments, "--out", out, "--answers-out", answers)
        self.assertEqual(again.returncode, 0, again.stderr.decode())
        self.assertIn("answers are in", again.stderr.decode())
        for result in (json.loads(again.stdout), json.loads(out.read_text())):
            self.assertEqual(result["tasks"][0]["protocol"], expected[0]["protocol"])
            self.assertEqual(without_seconds(result["tasks"][0]["rows"]), without_seconds(expected[0]["rows"]))
        self.assertFalse(journal.exists())
        told = [json.loads(line) for line in answers.read_text().splitlines()]
        self.assertEqual(len(told), 1 + 2 * 2 * 4 + 1)
        self.assertEqual(told[0]["provenance"]["weights_fingerprint"], json.loads(out.read_text())["weights_fingerprint"])
        self.assertEqual(told.pop(), {"task": "passkey", "protocol": expected[0]["protocol"]})
        for row in expected[0]["rows"]:
            said = [answer for answer in told[1:] if (answer["arm"], answer["length"]) == (row["arm"], row["length"])]
            self.assertEqual(row["scores"], [float(answer["answers"][0] in answer["text"]) for answer in said])

    def test_a_budget_of_other_lengths_is_another(self):
        out = self.folder / "budget.json"
        command = ["eval", self.shallow, "--task", "passkey", "--depths", "0.5", "--trials", "4", "--budget", "1h"]
        self.kill_after_answers([*command, "--lengths", "400,600"], out)
        result = longspan(*command, "--lengths", "600,800", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        rows = json.loads(out.read_text())["tasks"][0]["rows"]
        self.assertEqual([row["length"] for row in rows], [600, 800])

    def test_says_which_options_no_task_takes(self):
        result = longspan("eval", self.shallow, "--task", "needle", "--lengths", "800", "--trials", "1", "--seed", "2")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertIn("--trials: none of the tasks takes it; it is of passkey", result.stderr.decode())
        self.assertNotIn("--seed", result.stderr.decode())

    def test_budget_says_what_it_leaves_out(self):
        result = longspan("eval", self.shallow, "--task", "passkey", "--lengths", "400,4000", "--depths", "0.5", "--trials", "4",
                          "--budget", "0.01s", "--json")  # fmt: skip
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        found = json.loads(result.stdout)
        self.assertEqual([(row["length"], row["n"]) for row in found["tasks"][0]["rows"]], [(400, 1)])
        self.assertEqual(found["budget"], {"time": "0.01s", "left_out": ["length 4000", "3 of 4 items of passkey"]})
        self.assertIn("left out: length 4000, 3 of 4 items of passkey", result.stderr.decode())

    def test_errors_say_what_to_do(self):
        passkey = ("eval", self.shallow, "--task", "passkey", "--lengths", "400")
        for code, says, *arguments in (
            (2, "did you mean 'retrieval'?", *passkey, "--arm", "retreival"),
            (2, "did you mean 'chunk_tokens'?", *passkey, "--arm", "retrieval", "--set", "retrieval.chunk_token=5"),
            (2, "expected one of bm25, embedding", *passkey, "--arm", "retrieval", "--set", "retrieval.method=bm52"),
            (2, "has no scaling", *passkey, "--arm", "rope"),
            (2, "--model-of-arm smaller_model=MODEL", *passkey, "--arm", "smaller_model"),
            (2, "is not among the arms", *passkey, "--model-of-arm", "smaller_model=x"),
            (2, "expected ARM=MODEL", *passkey, "--model-of-arm", "full"),
            (2, "is no time", *passkey, "--budget", "ten"),
            (2, "asks no question", "eval", self.shallow, "--text", self.shallow / "config.json", "--arm", "oracle"),
            (2, "expected two files", *passkey, "--out", "x.json", "--items-out", "./x.json"),
        ):
            with self.subTest(arguments):
                result = longspan(*arguments)
                self.assertEqual(result.returncode, code, result.stderr.decode())
                self.assertIn(says, result.stderr.decode())


if __name__ == "__main__":
    known, rest = command_line().parse_known_args()
    LONGSPAN = known.longspan
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
