#!/usr/bin/python3
"""check.py -- what a machine can judge about the sources, without taste.

Prints `file:line: what is wrong` for each finding and exits 1 if there is any.  Sizes, names and
wording are for the eye of a reviewer.  test_check.py plants a bad file for every check here.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

# What stands to the left of a folder, and may be included by it.
MAY_INCLUDE = {
    "config": ["config"],
    "proxy": ["config", "proxy"],
    "shifter": ["config", "proxy", "shifter"],
}
# The same among the folders inside, in their order.
LAYERS = {
    "proxy": "board http transport worker logger supervisor".split(),
    "shifter": ("net store judge bus gates plan control journal signal admin dashboard agent "
                "controller cli").split(),
}
# Libraries that a folder never sees.
NEVER = {
    "config": r"hiredis|libpq-fe\.h|sqlite3\.h|openssl/|event2/|jansson\.h|ares\.h",
    "proxy": r"hiredis|libpq-fe\.h|sqlite3\.h",
}
BANNED = "strcpy strcat sprintf vsprintf strtok atoi atol gets alloca system popen".split()
# Tests read no foreign bytes into fixed buffers, and remove their own folders.
TESTS_MAY = {"strcpy", "strcat", "sprintf", "vsprintf", "atoi", "atol", "system", "popen"}
CODE = {".c", ".h", ".S"}
SOURCES = CODE | {".py", ".js", ".css", ".html", ".lua", ".sh", ".def"}
SKIPS = r"pytest\.(skip|mark\.skip|mark\.xfail|importorskip)|\bskip\(\)|unittest\.skip"
UNFINISHED = r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b"
MACHINE = r"/wor" r"k/(main|wt|shared|\.lib)|/roo" r"t/"
FOREIGN = ("tests/data/", "tests/fuzz/corpus/", "tests/fuzz/regression/")  # not our words
TREE = Path(__file__).resolve().parent.parent.parent


def tracked(root):
    """The files of the tree: git's, else (a tarball) all but what a build leaves."""
    if (root / ".git").exists():
        out = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, capture_output=True, check=True).stdout.decode()
        names = [name for name in out.split("\0") if name]
    else:
        names = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
        names = [n for n in names if not re.match(r"build/|\.|.*__pycache__|.*\.pyc$", n)]
    return sorted(n for n in names if (root / n).is_file())


def text_of(root, name):
    return (root / name).read_text(encoding="utf-8", errors="replace")


def blank_comments(code):
    """C with comments and literals blanked, line for line."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, code,
                  flags=re.S)


def may_include(name, included):
    """Data goes one way: between the folders, and between those inside."""
    folder, *rest = name.split("/")
    target, *inner = included.split("/")
    if target not in MAY_INCLUDE[folder]:
        return False
    if folder != target or folder not in LAYERS or "proxy/proxy.h" in (name, included):
        return True
    layers = LAYERS[folder]
    return (rest[0] in layers and inner[0] in layers
            and layers.index(inner[0]) <= layers.index(rest[0]))


def check_includes(root, names):
    for name in names:
        folder = name.split("/")[0]
        if Path(name).suffix not in CODE or folder not in MAY_INCLUDE:
            continue
        for number, line in enumerate(text_of(root, name).splitlines(), 1):
            local = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            system = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if local and not may_include(name, local.group(1)):
                yield f'{name}:{number}: {Path(name).parent}/ may not include "{local.group(1)}"'
            if system and folder in NEVER and re.match(NEVER[folder], system.group(1)):
                yield f"{name}:{number}: {folder}/ may not include <{system.group(1)}>"


def check_calls(root, names):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for name in names:
        if Path(name).suffix not in CODE:
            continue
        for number, line in enumerate(blank_comments(text_of(root, name)).splitlines(), 1):
            for call in pattern.findall(line):
                if not (name.startswith("tests/") and call in TESTS_MAY):
                    yield f"{name}:{number}: {call}() is banned"


def check_head_comments(root, names):
    """Every C file begins by saying, under its own name, why it exists."""
    for name in names:
        if Path(name).suffix not in CODE:
            continue
        head = text_of(root, name).splitlines()[:2]
        if len(head) < 2 or head[0] != "/*" or not head[1].startswith(f" * {Path(name).name} -- "):
            yield f"{name}:1: the head comment ` * {Path(name).name} -- why it exists` is missing"


def check_keys(root, names):
    """Each configuration key stands in the full sample and on the page of keys."""
    if "config/keys.def" not in names:
        return
    table = text_of(root, "config/keys.def")
    page = text_of(root, "config/KEYS.md") if "config/KEYS.md" in names else ""
    sample = "config/samples/full.yaml"
    full = text_of(root, sample) if sample in names else ""
    for match in re.finditer(r'^XF_KEY\("([^"]+)"', table, flags=re.M):
        path = match.group(1)
        number = table.count("\n", 0, match.start()) + 1
        if f"| `{path}` |" not in page:
            yield f"config/keys.def:{number}: {path} is not in config/KEYS.md: ./dev fmt"
        word = path.split(".")[-1].removesuffix("[]")
        if word != "*" and not re.search(rf"(^|[\s{{]){re.escape(word)}:", full, flags=re.M):
            yield f"config/keys.def:{number}: {path} is not in {sample}"


def mirrored(name, names):
    """tests/unit/proxy/test_pool.c and test_pool_idle.c need no line of their own: pool.c has one."""
    match = re.match(r"tests/unit/(\w+)/test_(\w+)\.c$", name)
    if not match:
        return False
    folder, module = match.groups()
    modules = {Path(n).stem for n in names if n.startswith(folder + "/") and Path(n).suffix in CODE}
    return any(module == known or module.startswith(known + "_") for known in modules)


def names_source(readme, path):
    """`pool.c`, `pool` and `pool.{c,h}` in backticks name pool.c; a bare word does not."""
    quoted = " ".join(re.findall(r"`([^`\n]+)`", readme))
    return re.search(rf"(?<![\w.-]){re.escape(path.stem)}(?![\w-])", quoted)


def check_readmes(root, names):
    """Each folder of sources has a README, and that names each source."""
    for name in names:
        path = Path(name)
        if path.suffix not in SOURCES or len(path.parts) < 2 or mirrored(name, names):
            continue
        readme = str(path.parent / "README.md")
        if readme not in names:
            yield f"{readme}:1: is missing ({path.name} is there)"
        elif not names_source(text_of(root, readme), path):
            yield f"{readme}:1: does not name {path.name} under \"Code structure\""


def check_pages(root, names):
    """A page that a message of the program names is one that its package installs, in one folder."""
    if "cmake/install.cmake" not in names:
        return
    installed = set(re.findall(r"\S+\.md\b", text_of(root, "cmake/install.cmake")))
    known = {Path(page).name for page in installed if page in names}
    for name in names:
        if Path(name).suffix not in CODE or name.split("/")[0] not in MAY_INCLUDE:
            continue
        for number, line in enumerate(text_of(root, name).splitlines(), 1):
            for text in re.findall(r'"((?:\\.|[^"\\])*)"', line):
                for page in re.findall(r"[\w./-]+\.md\b", text):
                    if page not in known:
                        yield f"{name}:{number}: names {page}, which cmake/install.cmake does not install"


def check_words(root, names):
    """Nothing is left unfinished, skipped, or bound to the machine it was written on."""
    for name in names:
        if name == "tests/style/check.py" or name.startswith(FOREIGN):
            continue
        text = text_of(root, name)
        rules = [(MACHINE, "a path of one machine")]
        if Path(name).suffix != ".md":
            rules.append((UNFINISHED, "is unfinished"))
        if name.startswith("tests/") and Path(name).suffix in {".py", ".c"}:
            rules.append((SKIPS, "a test is skipped"))
        for number, line in enumerate(text.splitlines(), 1):
            for pattern, what in rules:
                found = re.search(pattern, line)
                if found:
                    yield f"{name}:{number}: {what}: {found.group()}"


def check_format(root, names):
    """The form of C is clang-format's, of the version whose output the tree has."""
    tool = shutil.which("clang-format-14")
    files = [n for n in names if Path(n).suffix in {".c", ".h"}]
    if tool is None or not files or not (root / ".clang-format").exists():
        return
    done = subprocess.run([tool, "--dry-run", *files], cwd=root, capture_output=True, text=True)
    for name in sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: ", done.stderr, flags=re.M))):
        yield f"{name}:1: is not as clang-format-14 leaves it: ./dev fmt"
    if done.returncode != 0:
        yield f".clang-format:1: {done.stderr[:200]}"


CHECKS = [check_includes, check_calls, check_head_comments, check_keys, check_readmes, check_pages,
          check_words, check_format]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=TREE)
    root = parser.parse_args().root
    names = tracked(root)
    found = sorted({line for check in CHECKS for line in check(root, names)})
    for line in found:
        print(line)
    print(f"{len(names)} files, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
