"""Each command's options as they are shown and found: -h, the completion of shells, manual pages.

    python options_test.py --longspan build/longspan
"""

import re
import shutil
import subprocess
import sys

from program import command_line, refusal, run

SHELLS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}


def commands_of(binary):
    return re.findall(r"^  ([a-z-]+) ", run(binary, "-h"), re.MULTILINE)


def options_in(text):
    return set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", text, re.MULTILINE))


def check_help(binary, commands):
    for command in commands:
        text = run(binary, command, "-h")
        lines = text.splitlines()
        assert lines[0].startswith(f"longspan {command} "), lines[0]
        assert all(len(line) <= 100 for line in lines), [line for line in lines if len(line) > 100]
        assert not re.search(r"\[=\w+\(=", text), text
        before, after = text.split("  -h, --help", 1)
        assert "--" not in after.split("Example:")[0] and f"longspan {command}" in after, text
        wrong = refusal(binary, command, "--helq", code=2)
        assert f"longspan {command}: there is no option --helq; did you mean '--help'?" in wrong, wrong
    print(f"{len(commands)} commands: -h in 100 columns, an unknown option is named")


def check_short_forms(binary):
    """The plain options of a task and --set state the same defaults."""
    text = " ".join(run(binary, "eval", "-h").split())
    keys = text.split("keys and defaults: ")[1].split(" Texts and items:")[0]
    shown = dict(re.findall(r"(--[a-z-]+) [A-Z.]+ [^-]*?\(default: ([^)]*)\)", text))
    for task, key in re.findall(r"\b(perplexity|passkey)\.([a-z]+)=", keys):
        value = re.search(rf"\b{task}\.{key}=(\[[^]]*\]|[^,\s]*)", keys)[1]
        numbers = [float(number) for number in re.findall(r"[\d.]+", shown.get(f"--{key}", ""))]
        assert numbers == [float(number) for number in re.findall(r"[\d.]+", value)], (key, value, shown)
    print("the short forms of eval's --set have its defaults")


def offered(script, words):
    """What bash offers for the last of these words."""
    ask = 'source /dev/stdin <<< "$1"; shift; COMP_WORDS=(longspan "$@"); COMP_CWORD=$#; _longspan'
    show = 'printf "%s\\n" "${COMPREPLY[@]}"'
    return set(run("bash", "-c", f"{ask}; {show}", "bash", script, *words).split())


def check_completion(binary, commands):
    script = run(binary, "completion", "bash")
    assert offered(script, [""]) == {*commands, "--help", "--version"}
    for command in commands:
        shown = options_in(run(binary, command, "-h"))
        assert shown <= offered(script, [command, "--"]), command
    assert offered(script, ["eval", "m", "--dtype", ""]) == {"bfloat16", "float32"}
    assert offered(script, ["eval", "m", "--task", "pa"]) == {"passkey"}
    assert offered(script, ["man", "ev"]) == {"eval"}
    for shell, check in SHELLS.items():
        script = run(binary, "completion", shell)
        if shutil.which(shell):
            subprocess.run([*check, "/dev/stdin"], input=script, text=True, check=True)
    assert "did you mean" in refusal(binary, "man", "evall", code=2)
    assert "bash, zsh, fish" in refusal(binary, "completion", "tcsh", code=2)
    print("completion: every option of -h is offered by bash; zsh and fish read theirs")


def check_pages(binary, commands):
    if not shutil.which("groff"):
        return
    for page in [run(binary, "man"), *(run(binary, "man", command) for command in commands)]:
        groff = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou"]
        done = subprocess.run(groff, input=page, text=True, capture_output=True, check=True)
        assert done.stderr == "" and "SEE ALSO" in done.stdout, done.stderr
    print(f"{len(commands) + 1} manual pages are rendered without a warning")


def main():
    binary = command_line().parse_args().longspan
    commands = commands_of(binary)
    check_help(binary, commands)
    check_short_forms(binary)
    check_completion(binary, commands)
    check_pages(binary, commands)
    missing = [program for program in (*SHELLS, "groff") if not shutil.which(program)]
    if missing:
        print(f"skipped: no {', '.join(missing)} here; tools/test.sh installs them")
        sys.exit(77)


if __name__ == "__main__":
    main()
