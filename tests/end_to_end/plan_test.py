"""`longspan plan` as its user meets it: a recipe of this repository, a model that is only a config.json, rates from a file.

    plan_test.py --longspan build/longspan [NAME_OF_TEST ...]
"""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from xml.etree import ElementTree

from program import command_line, refusal, run

LONGSPAN = None
RECIPES = Path(__file__).parents[2] / "recipes"
LLAMA_2_7B = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=32000, hidden_size=4096, intermediate_size=11008,
    num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32, max_position_embeddings=4096,
    rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=False, torch_dtype="bfloat16",
)
LLAMA_2_70B = LLAMA_2_7B | dict(
    hidden_size=8192, intermediate_size=28672, num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8,
)  # fmt: skip
LLAMA_3_8B = LLAMA_2_7B | dict(
    vocab_size=128256, intermediate_size=14336, num_key_value_heads=8, max_position_embeddings=8192, rope_theta=500000.0,
)  # fmt: skip
MISTRAL_7B = LLAMA_3_8B | dict(
    architectures=["MistralForCausalLM"], model_type="mistral", vocab_size=32768, max_position_embeddings=32768,
    rope_theta=1000000.0, sliding_window=None,
)  # fmt: skip
QWEN_2_5_7B = LLAMA_2_7B | dict(
    architectures=["Qwen2ForCausalLM"], model_type="qwen2", vocab_size=152064, hidden_size=3584, intermediate_size=18944,
    num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, max_position_embeddings=32768,
    rope_theta=1000000.0, use_sliding_window=False,
)  # fmt: skip
SHAPES = {
    "llama2-7b-100k": LLAMA_2_7B, "llama2-7b-100k-yarn": LLAMA_2_7B, "llama2-70b-32k": LLAMA_2_70B,
    "llama2-70b-32k-yarn": LLAMA_2_70B, "llama3-8b-64k": LLAMA_3_8B, "mistral-7b-128k": MISTRAL_7B,
    "qwen2.5-7b-128k": QWEN_2_5_7B,
}  # fmt: skip
RATES = dict(
    linear_gflops=100, linear_backward_gflops=100, head_gflops=100, attention_forward_gflops=100,
    attention_backward_gflops=100, elementwise_gb_per_second=10, disk_write_gb_per_second=1, disk_read_gb_per_second=1,
)


class PlanTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="longspan-plan-test-")
        cls.folder = Path(cls.temporary.name)
        (cls.folder / "config.json").write_text(json.dumps(LLAMA_2_7B))
        cls.rates = cls.folder / "rates.json"
        cls.rates.write_text(json.dumps(RATES))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def command(self, *arguments, rates=None, available="22GiB", disk="500GiB", recipe="llama2-7b-100k", config="config.json"):
        paths = [f"model.path={self.folder / config}", f"output.dir={self.folder}/run"]
        return [LONGSPAN, "plan", RECIPES / f"{recipe}.yaml", *paths, "--rates", rates or self.rates, "--available", available,
                "--available-disk", disk, *arguments]  # fmt: skip

    def plan(self, *arguments, **options):
        return json.loads(run(*self.command(*arguments, "--json", **options)))

    def test_rates_that_were_kept_give_the_same_plan(self):
        kept = self.folder / "kept.json"
        first = self.plan("--save-rates", kept)
        self.assertEqual(json.loads(kept.read_text())["linear_gflops"], RATES["linear_gflops"])
        self.assertEqual(self.plan(rates=kept), first)
        slower = self.folder / "slower.json"
        slower.write_text(json.dumps(RATES | {"linear_gflops": 10}))
        self.assertGreater(self.plan(rates=slower)["run_seconds"], first["run_seconds"])

    def test_plans_for_a_gpu_that_is_not_here(self):
        ram = "--available-ram", "4GB"
        whole = self.plan("model.quantization=none", "--device", "cuda", *ram, available="80GB")
        self.assertTrue(whole["fits"])
        self.assertEqual(whole["memory"]["weights"], "resident")
        self.assertEqual(whole["memory"]["offload"], "none")
        small = self.plan("model.quantization=none", "--device", "cuda", *ram, available="24GB")
        self.assertFalse(small["fits"])
        self.assertFalse([r for r in small["remedies"] if "mapped" in r["change"]])
        mapped = self.command("model.quantization=none", "memory.weights=mapped", "--device", "cuda", available="80GB")
        self.assertIn("command line: memory.weights: 'mapped' is for the CPU", refusal(*mapped, code=3))
        self.assertIn("expected cpu, cuda or auto", refusal(*self.command("--device", "gpu"), code=2))

    def test_says_what_it_wants_to_know_of_a_gpu_that_is_not_here(self):
        if Path("/dev/nvidiactl").exists():
            self.skipTest("there is a GPU")
        for known in ([], ["--rates", self.rates]):
            said = refusal(LONGSPAN, "plan", RECIPES / "llama2-7b-100k.yaml", "--device", "cuda", *known, code=2)
            self.assertIn("expected --available SIZE of the one to plan for", said)
        command = self.command("--device", "cuda", "--json", available="79GiB")
        at = command.index("--rates")
        planned = subprocess.run(command[:at] + command[at + 2 :], capture_output=True, text=True, check=True)
        self.assertIn("by rates usual for an H100", planned.stderr)
        self.assertEqual(json.loads(planned.stdout)["rates"]["linear_gflops"], 500e3)

    def test_offloads_to_the_ram_that_a_gpu_has_beside_it(self):
        arguments = "--device", "cuda", "--available-ram", "110GiB"
        plan = self.plan(*arguments, available="24GB")
        self.assertTrue(plan["fits"])
        self.assertEqual(plan["memory"]["offload"], "ram")
        self.assertGreater(plan["stages"][0]["stored_bytes"], 32 * 98304 * 4096 * 2 - 1)
        self.assertLessEqual(plan["stages"][0]["stored_bytes"], plan["memory"]["offload_ram"])
        self.assertEqual(plan["available_ram_bytes"], 110 * 2**30)
        self.assertEqual(plan["rates"]["host_copy_gb_per_second"], 20)  # the file, an older one, has none
        slow = self.folder / "slow-copies.json"
        slow.write_text(json.dumps({**RATES, "host_copy_gb_per_second": 1e-3}))
        self.assertGreater(self.plan(*arguments, available="24GB", rates=slow)["stages"][0]["step_seconds"]["host_copy"], 0)

    def test_says_what_the_recipe_takes(self):
        plan = self.plan()
        stage = plan["stages"][0]
        memory, seconds = stage["memory_bytes"], stage["step_seconds"]
        self.assertEqual(stage["seq_len"], 98304)
        parts = ("program", "weights", "trained", "kept", "working")
        self.assertEqual(sum(memory[part] for part in parts), memory["total"])
        self.assertEqual(plan["peak_memory_bytes"], memory["total"])
        self.assertAlmostEqual(sum(s for part, s in seconds.items() if part != "total"), seconds["total"])
        self.assertTrue(plan["fits"])
        self.assertLess(plan["peak_memory_bytes"], 0.9 * 22 * 2**30)
        # q, k, v, o, gate, up and down of 32 layers in NF4: half a byte and a 64th of one a weight, and a little.
        projections = 32 * (4 * 4096 * 4096 + 3 * 4096 * 11008)
        self.assertGreater(memory["weights"], projections * (0.5 + 1 / 64))
        self.assertLess(memory["weights"], projections * 0.5 + 32000 * 4096 * 2 + 2**29)
        # 64 sequences a step, 2 FLOPs a weight and token, 1e11 a second.
        self.assertAlmostEqual(seconds["linears_forward"], 64 * 2 * projections * 98304 / 1e11, places=0)

    def test_plans_for_a_disk_that_is_not_here(self):
        plan = self.plan("memory.offload=disk", disk="8GiB")
        self.assertFalse(plan["fits"])
        self.assertEqual([plan["available_disk_bytes"], plan["checkpoints"]["available_disk_bytes"]], 2 * [8 * 2**30])
        self.assertIn("of 8.0 GiB of disk, which is too little", run(*self.command("memory.offload=disk", disk="8GiB")))
        self.assertIn("--available-disk", refusal(*self.command(disk="much"), code=2))

    def test_half_the_rates_take_twice_the_time(self):
        slow = self.folder / "slow.json"
        slow.write_text(json.dumps({name: rate / 2 for name, rate in RATES.items()}))
        fast, slow = self.plan(), self.plan(rates=slow)
        self.assertEqual(fast["memory"], slow["memory"])
        self.assertAlmostEqual(slow["run_seconds"] / fast["run_seconds"], 2)

    def test_sweeps_lengths_and_draws_them(self):
        picture = self.folder / "plan.svg"
        lengths = self.plan("--length", "8K,32K,128K", "--out", picture)["lengths"]
        self.assertEqual([plan["stages"][0]["seq_len"] for plan in lengths], [8192, 32768, 131072])
        seconds = [plan["stages"][0]["step_seconds"]["total"] for plan in lengths]
        self.assertEqual(seconds, sorted(seconds))
        texts = [text.text for text in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
        for label in ("8K", "32K", "128K"):
            self.assertIn(label, texts)

    def test_refuses_lengths_that_no_recipe_may_have(self):
        for lengths in ("8K,1048576K", "104857600K", "1"):
            self.assertIn("expected 2 to 67108864", refusal(*self.command("--length", lengths), code=2))
        self.plan("--length", "65536K")

    def test_names_what_makes_it_fit(self):
        arguments = "model.quantization=none", "memory.recompute=selective", "memory.weights=resident"
        plan = self.plan(*arguments)
        self.assertFalse(plan["fits"])
        changes = [remedy["change"] for remedy in plan["remedies"]]
        self.assertIn("memory: auto in its other keys, model.quantization=nf4", changes)
        shorter = self.plan(*arguments, f"train.seq_len={plan['longest_context'] + 1024}")
        self.assertFalse(shorter["fits"])
        text = run(*self.command(*arguments))
        self.assertIn("fits     no", text)
        self.assertIn("model.quantization=nf4", text)

    def test_recipes_of_this_repository_train_all_the_context_that_they_make(self):
        shipped = {path.stem for path in RECIPES.glob("*.yaml") if not path.stem.startswith("smollm2-")}
        self.assertEqual(set(SHAPES), shipped)
        for recipe, shape in SHAPES.items():
            with self.subTest(recipe=recipe):
                config = self.folder / f"{recipe}.json"
                config.write_text(json.dumps(shape))
                valid = run(LONGSPAN, "validate", RECIPES / f"{recipe}.yaml", f"model.path={config}")
                self.assertIn(": valid; ", valid)
                plan = self.plan(recipe=recipe, config=config.name, available="80GiB")
                context = plan["stages"][-1]["seq_len"]
                longer = self.command(f"train.seq_len={context + 4}", recipe=recipe, config=config.name)
                self.assertIn(f"beyond the context of {context} ", refusal(*longer, code=3))
                seconds = [stage["step_seconds"]["total"] for stage in plan["stages"]]
                self.assertEqual(seconds, sorted(seconds))  # full attention last

    def test_refuses_rates_it_cannot_use(self):
        wrong = self.folder / "wrong.json"
        wrong.write_text(json.dumps({**RATES, "head_gflops": -3}))
        message = refusal(*self.command(rates=wrong), code=2)
        self.assertIn("head_gflops", message)
        self.assertIn("-3", message)


if __name__ == "__main__":
    known, rest = command_line().parse_known_args()
    LONGSPAN = known.longspan
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
