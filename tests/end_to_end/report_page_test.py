"""Opens the page of `longspan report` in a headless Chromium: it loads, its tables sort, its charts are PNGs too.

    report_page_test.py --longspan build/longspan
"""

import json
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from program import command_line, finish

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LONGSPAN = None
FOUND = {"full": 9, "retrieval": 7, "no_context": 0}  # of 10
SECONDS = {"full": 20.0, "retrieval": 3.0, "no_context": 0.1}

# Sorts the first table by its second column and back, and leaves what it then shows.
CLICKS = """<script>
const head = document.querySelectorAll("figure.table > table:not(.facts) > thead th")[1];
const names = () => [...head.closest("table").tBodies[0].rows].map(row => row.cells[0].textContent).join(" ");
head.click();
const up = names();
head.click();
document.body.textContent = `sorted: ${up}; then: ${names()};`;
</script></body>"""


def result():
    rows = [
        {"arm": arm, "length": 4096, "depth": 0.5, "n": 10, "trials": 10, "correct": correct, "score": correct / 10,
         "answer_nll": 0.5, "answer_token_accuracy": 0.5}
        for arm, correct in FOUND.items()
    ]  # fmt: skip
    arms = [
        {"arm": arm, "length": 4096, "time_to_first_token_seconds": seconds} for arm, seconds in SECONDS.items()
    ]
    task = {"task": "passkey", "protocol": {"seed": 0}, "rows": rows}
    return {"format": "longspan eval", "format_version": 1, "label": "base", "tasks": [task], "arms": arms}


class ReportPageTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="longspan-report-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        (self.folder / "result.json").write_text(json.dumps(result()))
        self.page = self.folder / "page.html"
        finish(LONGSPAN, "report", self.folder / "result.json", "--html", self.page, "--figures",
               self.folder / "figures")  # fmt: skip

    def test_charts_are_files_too(self):
        for name in ("passkey-1", "cost-1"):
            self.assertTrue((self.folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG"))
            self.assertIn("</svg>", (self.folder / "figures" / f"{name}.svg").read_text())

    @unittest.skipUnless(CHROMIUM, "no Chromium here: apt-get install chromium")
    def test_tables_sort(self):
        self.page.write_text(self.page.read_text().replace("</body>", CLICKS))
        shown = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", self.page.as_uri()],
            capture_output=True, text=True, timeout=120)  # fmt: skip
        self.assertIn("sorted: no_context retrieval full; then: full retrieval no_context;", shown.stdout, shown.stderr)


if __name__ == "__main__":
    parsed, rest = command_line().parse_known_args()
    LONGSPAN = parsed.longspan
    unittest.main(argv=[sys.argv[0], *rest])
