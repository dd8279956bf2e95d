"""docs/performance.md is what tools/bench/performance.py makes of the committed figures, and a folder of figures.sh
becomes such figures.

Needs nothing but python3; --longspan is accepted and not used.
"""

import json
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "bench"))
import performance  # noqa: E402

STEP = {
    "peer": "longspan", "attention": "s2", "dtype": "bfloat16", "length": 4096, "tokens_per_second": 300.0,
    "peak_rss_mib": 1500, "useful_ratio": 0.6, "linear_gflops": 430.0,
}  # fmt: skip


class PerformancePageTest(unittest.TestCase):
    def test_the_page_is_made_of_the_figures(self):
        page = performance.page()
        self.assertEqual((ROOT / "docs" / "performance.md").read_text(), page, "run tools/bench/performance.py")
        self.assertLessEqual(len(page.splitlines()), 120)

    def test_a_step_is_set_beside_the_peers(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "attention-1-thread.json").write_text("[]")
            (folder / "version.txt").write_text("longspan 1.2.3, LibTorch 2.13.1\nCPU: AVX2\n")
            (folder / "step-s2-4096.json").write_text(json.dumps(STEP))
            peer = STEP | {"peer": "transformers", "tokens_per_second": 120.0, "peak_rss_mib": 6000}
            (folder / "peer-s2-4096.json").write_text(json.dumps(peer))
            (folder / "flat-4096.json").write_text(json.dumps(STEP | {"tokens_per_second": 310.0}))
            found = performance.collect(folder, "a machine", "AVX2")
        self.assertEqual((found["machine"], found["instructions"]), ("a machine", "AVX2"))
        self.assertEqual(found["libtorch"], "2.13.1")
        step, flat = found["steps"]
        self.assertEqual((step["speed_over_peer"], step["memory_over_peer"]), (2.5, 0.25))
        self.assertEqual((flat["tokens_per_second"], flat["options"]), (310.0, "groups of 2,048"))
        self.assertNotIn("speed_over_peer", flat)
        row = performance.steps({"here": found}).splitlines()[2]
        self.assertEqual(row, "| here | s2, 4,096 |  | 300 | 2.50 x | 1,500 | 0.25 | 60 % |")

    def test_reading_with_memory_is_a_row_a_model_and_a_search_a_row_a_length(self):
        what = {"model": "m", "layers": 2, "mem_layers": 2, "window": 64, "mem_dtype": "bfloat16", "threads": 2}
        reading = [what | {"length": length, "search_pages": 0, "tokens_per_second": 2000.0 / length, "peak_rss_mib": length}
                   for length in (100, 200)]  # fmt: skip
        searching = [what | {"length": 100, "layer": layer, "pages": pages, "mass_ratio": mass, "top_keys_ratio": 0.5,
                             "dense_seconds": 8, "search_seconds": pages, "token_dense_seconds": 3, "token_search_seconds": 2}
                     for layer, pages, mass in ((0, 4, 0.2), (1, 4, 0.4), (0, 16, 1), (1, 16, 1))]  # fmt: skip
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "attention-1-thread.json").write_text("[]")
            (folder / "version.txt").write_text("longspan 1.2.3, LibTorch 2.13.1\nCPU: AVX2\n")
            (folder / "memory-0.json").write_text(json.dumps(reading + searching))
            found = performance.collect(folder, "a machine", "AVX2")
        self.assertEqual(found["memory"], reading + searching)
        lines = performance.memory({"here": found}).splitlines()
        self.assertEqual(lines[2], "| here | m, 2 layers, 2 with memory | all | 100 / 200 | 20 / 10 | 100 / 200 |")
        self.assertEqual(lines[6], "| here | m, 2 layers, 2 with memory | 100 | 4 / 16 | 30 % / 100 % | 50 % / 50 % "
                                   "| 2.0 / 0.5 x | 1.5 / 1.5 x |")  # fmt: skip

    def test_numbers_are_written_as_people_read_them(self):
        self.assertEqual([performance.number(x) for x in (None, 7, 8192, 1234.5, 0.1234)], ["", "7", "8,192", "1,234", "0.123"])
        self.assertEqual(performance.percent(0.684, 1), "68 %")
        self.assertEqual([performance.seconds(x) for x in (None, 0.123, 16.24)], ["", "0.12", "16.2"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
