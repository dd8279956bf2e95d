"""Opens the page of `longspan report` in a headless Chromium: its tables sort, it is light or dark, it prints.

    report_page_test.py --longspan build/longspan
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from program import command_line, finish

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
if not CHROMIUM:
    print("skipped: no Chromium here; tools/test.sh installs it")
    sys.exit(77)
HEADLESS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
LONGSPAN = None
FOUND = {"full": 9, "retrieval": 7, "no_context": 0}  # of 10
SECONDS = {"full": 20.0, "retrieval": 3.0, "no_context": 0.1}
KV_BYTES = {"full": 3 << 30, "retrieval": 200 << 20, "no_context": 5 << 20}  # 3.0 GiB, 200 MiB, 5 MiB

# Sorts a table by its second column and back, and leaves what it then shows.
CLICKS = """<script>
const tables = [...document.querySelectorAll("figure.table")];
const head = tables.find(table => table.textContent.startsWith("TITLE")).querySelectorAll("thead th")[1];
const names = () => [...head.closest("table").tBodies[0].rows].map(row => row.cells[0].textContent).join(" ");
head.click();
const up = names();
head.click();
document.body.textContent = `sorted: ${up}; then: ${names()};`;
</script></body>"""

# Leaves what the page looks like and what its links hold.
FACTS = """<script>
const paper = getComputedStyle(document.body).backgroundColor;
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const data = [...document.querySelectorAll("p.data a")].map(
  a => Object.keys(JSON.parse(decodeURIComponent(a.href.slice(a.href.indexOf(",") + 1)))).join("+"));
const figures = [...document.querySelectorAll("figure:not(.table) figcaption a")];
const linked = figures.filter(a => document.querySelector(a.hash).querySelector("a[download]"));
const rules = [...document.styleSheets].flatMap(sheet => [...sheet.cssRules]);
const printed = rules.filter(rule => rule.media?.mediaText.includes("dark") && !rule.media.mediaText.includes("screen"));
document.body.textContent = `paper: ${paper}; dark: ${dark}; dark on paper: ${printed.length}; data: ${data.join(" ")}; linked: ${linked.length} of ${document.querySelectorAll("figure:not(.table)").length};`;
</script></body>"""


def result():
    rows = [
        {"arm": arm, "length": 4096, "depth": 0.5, "n": 10, "trials": 10, "correct": correct, "score": correct / 10,
         "answer_nll": 0.5, "answer_token_accuracy": 0.5}
        for arm, correct in FOUND.items()
    ]  # fmt: skip
    arms = [
        {"arm": arm, "length": 4096, "time_to_first_token_seconds": seconds, "kv_bytes": KV_BYTES[arm]}
        for arm, seconds in SECONDS.items()
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

    def test_it_names_nothing_that_lies_elsewhere(self):
        page = self.page.read_text()
        for loads in ("src=", "@import", "url(", "<link", "fetch("):
            self.assertNotIn(loads, page)
        self.assertEqual(set(re.findall(r'href="([a-z]+):', page)), {"data"})

    def shown(self, script, *options):
        """The page's text after a script of ours."""
        changed = self.folder / "changed.html"
        changed.write_text(self.page.read_text().replace("</body>", script))
        shown = subprocess.run([CHROMIUM, *HEADLESS, *options, "--dump-dom", changed.as_uri()],
                               capture_output=True, text=True, timeout=120)  # fmt: skip
        self.assertEqual(shown.returncode, 0, shown.stderr)
        return shown.stdout

    def test_tables_sort(self):
        for title in ("Keys found", "Keys and values"):  # by counts, and by bytes in their units
            self.assertIn("sorted: no_context retrieval full; then: full retrieval no_context;",
                          self.shown(CLICKS.replace("TITLE", title)))  # fmt: skip

    def test_it_is_light_or_dark_as_the_reader_is(self):
        papers = {}
        for scheme, name in enumerate(("dark", "light")):
            text = self.shown(FACTS, f"--blink-settings=preferredColorScheme={scheme}")
            self.assertIn(f"dark: {str(name == 'dark').lower()}; dark on paper: 0;", text)
            papers[name] = sum(map(int, re.search(r"paper: rgb\((\d+), (\d+), (\d+)\)", text).groups()))
        self.assertLess(papers["dark"], 150)
        self.assertGreater(papers["light"], 600)

    def test_figures_link_to_their_numbers(self):
        # Scores against cost, a map an arm, and the curves of costs.
        self.assertIn("data: task+models models; linked: 3 of 3;", self.shown(FACTS))

    def test_it_prints(self):
        printed = self.folder / "page.pdf"
        subprocess.run([CHROMIUM, *HEADLESS, f"--print-to-pdf={printed}", self.page.as_uri()],
                       capture_output=True, timeout=120, check=True)  # fmt: skip
        self.assertTrue(printed.read_bytes().startswith(b"%PDF"))


if __name__ == "__main__":
    parsed, rest = command_line().parse_known_args()
    LONGSPAN = parsed.longspan
    unittest.main(argv=[sys.argv[0], *rest])
