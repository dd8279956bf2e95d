"""Holds the work of build/bench to what it says: the peer's loss, the keys, the pictures. No times.

    bench_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import math
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

from program import checked, command_line, refusal, run
from smollm2 import gguf_path

LONGSPAN = None
LENGTH = 48
TEXT = "It was a long road, and nobody on it knew where the mill had stood. " * 20
# By which `bench compare` sets a step beside a peer's.
PEER_KEYS = (
    "peer attention dtype length checkpointing trainable_parameters tokens_per_second "
    "tokens_per_second_median step_seconds losses peak_rss_mib"
).split()
ATTENTION_KEYS = (
    "pattern head_dim query_heads key_value_heads length group_size forward_gflops "
    "backward_gflops sdpa_forward_gflops sdpa_backward_gflops linear_gflops"
).split()


def bench():
    return LONGSPAN.with_name("bench")


class BenchTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="longspan-bench-test-")
        cls.folder = Path(cls.temporary.name)
        cls.base = cls.folder / "base"
        run(LONGSPAN, "convert", gguf_path(), cls.base, "--dtype", "float32")
        cls.text = cls.folder / "text.txt"
        cls.text.write_text(TEXT)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def attention(self):
        shapes = ["--lengths", 64, "--head-dims", 64]
        return run(bench(), "attention", "--threads", 1, *shapes, "--json")

    def step(self, *arguments):
        options = ["--model", self.base, "--text", self.text, "--length", LENGTH]
        options += ["--dtype", "float32", "--attention", "full", "--steps", 2, "--json"]
        return json.loads(run(bench(), "step", *options, *arguments))

    def test_a_step_is_the_peers_step(self):
        result = self.step()
        self.assertEqual(list(result)[: len(PEER_KEYS)], PEER_KEYS)
        ids = AutoTokenizer.from_pretrained(self.base)(TEXT, return_tensors="pt").input_ids
        ids = ids[:, :LENGTH]
        model = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32)
        with torch.no_grad():
            loss = model(input_ids=ids, labels=ids).loss.item()
        self.assertAlmostEqual(result["losses"][0], loss, places=3)
        checked("loss of a training step", "transformers", detail="SmolLM2-135M")
        self.assertLess(result["losses"][1], result["losses"][0])
        lora = 8 * 30 * ((576 + 576) + 2 * (576 + 192) + (576 + 576))
        self.assertEqual(result["trainable_parameters"], 49152 * 576 + 61 * 576 + lora)

    def test_overrides_change_the_recipe_of_a_step(self):
        result = self.step("memory.recompute=none", "lora.modules_to_save=[]")
        self.assertEqual(result["checkpointing"], False)
        self.assertEqual(result["memory"]["recompute"], "none")
        lora = 8 * 30 * ((576 + 576) + 2 * (576 + 192) + (576 + 576))
        self.assertEqual(result["trainable_parameters"], lora)

    def test_random_weights_need_no_file_of_weights(self):
        shape = self.folder / "shape"
        shape.mkdir()
        for name in ("config.json", "tokenizer.json"):
            (shape / name).write_bytes((self.base / name).read_bytes())
        trace = self.folder / "trace.json"
        for quantization in ("none", "nf4"):
            result = self.step("--model", shape, "--random-weights", "--trace", trace, f"model.quantization={quantization}")
            # Weights that know nothing are no better than chance, and worse where the head is the embedding.
            self.assertGreater(result["losses"][0], math.log(49152) - 0.5)
            self.assertLess(result["losses"][0], math.log(49152) + 3)
            names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
            self.assertIn("aten::mm", names)
            trace.unlink()
        self.assertIn("shape", refusal(bench(), "step", "--model", shape, "--text", self.text, "--length", LENGTH, code=5))

    def test_decoding_is_set_beside_memory_and_products(self):
        options = ["decode", "--model", self.base, "--prompt", 64, "--tokens", 8]
        result = json.loads(run(bench(), *options, "--json"))
        # All weights once, the embeddings as the head, and the keys and values of 68 tokens in 30 layers of 3 heads.
        read = 2 * 134_515_008 + 68 * 30 * 3 * 64 * 2 * 2
        tokens, bandwidth = result["decode_tokens_per_second"], result["decode_gb_per_second"]
        self.assertAlmostEqual(bandwidth / (tokens * read * 1e-9), 1, places=2)
        self.assertAlmostEqual(result["decode_ratio"], bandwidth / result["copy_gb_per_second"], places=2)
        # 2 FLOPs a weight of the layers and token, 4 x head_dim a scored pair and head, the head for the last token alone.
        flops = 64 * 2 * 30 * 3_538_944 + 30 * 9 * 4 * 64 * 64 * 65 / 2 + 2 * 49152 * 576
        gflops = 1e-9 * flops / result["prefill_seconds"]
        self.assertAlmostEqual(result["prefill_ratio"] / (gflops / result["linear_gflops"]), 1, places=1)
        self.assertIn("--tokens from 2", refusal(bench(), *options[:-1], 1, code=2))

    def test_a_text_that_is_too_short_is_refused(self):
        options = ["--model", self.base, "--text", self.text, "--length", 100000]
        self.assertIn("fewer than --length 100000", refusal(bench(), "step", *options, code=4))

    def test_attention_has_a_row_a_shape(self):
        rows = json.loads(self.attention())
        self.assertEqual([row["pattern"] for row in rows], ["full", "s2"])
        self.assertEqual([row["group_size"] for row in rows], [64, 16])
        for row in rows:
            self.assertEqual(list(row), ATTENTION_KEYS)
            self.assertTrue(all(row[key] > 0 for key in ATTENTION_KEYS if "gflops" in key))

    def test_memory_is_read_and_its_search_compared(self):
        options = ["--model", self.base, "--lengths", "256,512", "--window", 128, "--mem-layers", 15]
        rows = json.loads(run(bench(), "memory", *options, "--page-tokens", 16, "--pages", "1,100", "--json"))
        reading, searching = rows[:2], rows[2:]
        self.assertEqual([(row["length"], row["search_pages"]) for row in reading], [(256, 0), (512, 0)])
        # 512 tokens in windows of 128, 128, 128, 64 and 64: the last is open, in the memory layer with keys of two kinds. A
        # token's keys and values are 768 bytes.
        self.assertAlmostEqual(reading[1]["kept_mib"], (31 * 64 + 448) * 768 / 2**20, delta=0.051)
        self.assertTrue(all(row["tokens_per_second"] > 0 and row["peak_rss_mib"] > 100 for row in reading))
        self.assertEqual([(row["length"], row["layer"], row["pages"]) for row in searching],
                         [(256, 15, 1), (256, 15, 100), (512, 15, 1), (512, 15, 100)])  # fmt: skip
        for one, all_pages in (searching[:2], searching[2:]):
            self.assertAlmostEqual(all_pages["mass_ratio"], 1, delta=0.01)
            self.assertEqual(all_pages["top_keys_ratio"], 1)
            self.assertTrue(0 < one["mass_ratio"] < all_pages["mass_ratio"], one)
            self.assertTrue(0 < one["top_keys_ratio"] < 1, one)
        refusal(bench(), "memory", *options, "--layers", 2, code=2)
        self.assertIn("fewer than the 576", refusal(bench(), "memory", *options, "--text", self.text, code=4))

    def test_cross_entropy_counts_its_memory(self):
        options = ["--tokens", 64, "--vocab-size", 4096, "--hidden-size", 32, "--chunks", 16]
        rows = json.loads(run(bench(), "cross-entropy", "--threads", 1, *options, "--json"))
        self.assertEqual([row["head"] for row in rows], ["frozen", "trained"])
        self.assertLess(rows[1]["memory_mb"], 64)

    def test_results_are_compared_and_drawn(self):
        saved, picture = self.folder / "a.json", self.folder / "a.svg"
        saved.write_text(self.attention())
        rows = json.loads(saved.read_text())
        faster = self.folder / "faster.json"
        faster.write_text(json.dumps([row | {"forward_gflops": 2.5 * row["forward_gflops"]} for row in rows]))
        lines = [line.split() for line in run(bench(), "compare", saved, faster).splitlines()]
        self.assertEqual([words[-1] for words in lines if words[:1] == ["forward_gflops"]], ["2.500"] * len(rows))
        run(bench(), "roofline", saved, picture)
        self.assertIn("s2, D 64: backward", picture.read_text())
        other = self.folder / "other.json"
        other.write_text('[{"pattern": "none", "seconds": 1}]')
        refusal(bench(), "compare", saved, other, code=4)
        refusal(bench(), "roofline", other, picture, code=4)


if __name__ == "__main__":
    known, rest = command_line().parse_known_args()
    LONGSPAN = known.longspan
    if not bench().exists():
        print("skipped: LONGSPAN_BENCH is off")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
