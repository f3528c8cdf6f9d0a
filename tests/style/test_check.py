#!/usr/bin/python3
"""test_check.py -- each check of check.py finds the bad file that is planted for it."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import check  # noqa: E402

HEAD = "/*\n * {name} -- why it exists.\n */\n"
GOOD = {
    "config/README.md": "| `good.c` | a file |\n| `keys.def` | keys |\n",
    "config/good.c": HEAD.format(name="good.c") + '#include "config/good.h"\n\n#include <stdio.h>\n',
    "config/good.h": HEAD.format(name="good.h"),
    "config/keys.def": 'XF_KEY("clusters.*.check", SECTION)\nXF_KEY("clusters.*", CLUSTER)\n',
    "config/KEYS.md": "| `clusters.*.check` | x |\n| `clusters.*` | x |\n",
    "config/samples/full.yaml": "clusters:\n  a: {check: x}\n",
    "cmake/install.cmake": "install(FILES config/KEYS.md config/GONE.md)\n",
    "tests/unit/config/test_good.c": HEAD.format(name="test_good.c"),
}
BAD = [  # (check, file, content, what is found)
    (check.check_includes, "config/a.c", '#include "proxy/pool.h"\n', 'may not include "proxy/pool.h"'),
    (check.check_includes, "config/a.c", '#include "a.h"\n', 'may not include "a.h"'),
    (check.check_includes, "config/a.c", "#include <event2/event.h>\n", "may not include <event2"),
    (check.check_includes, "proxy/a.c", '#include "shifter/a.h"\n', 'may not include "shifter/a.h"'),
    (check.check_includes, "proxy/a.h", "#include <hiredis/hiredis.h>\n", "may not include <hiredis"),
    (check.check_includes, "proxy/a.h", "#include <libpq-fe.h>\n", "may not include <libpq-fe.h>"),
    (check.check_includes, "proxy/a.h", "#  include <sqlite3.h>\n", "may not include <sqlite3.h>"),
    (check.check_includes, "shifter/a.c", '#include "bench/a.h"\n', 'may not include "bench/a.h"'),
    (check.check_includes, "shifter/bus/a.c", '#include "shifter/agent/a.h"\n', 'shifter/bus/ may not'),
    (check.check_includes, "proxy/http/a.c", '#include "proxy/worker/a.h"\n', 'proxy/http/ may not'),
    (check.check_includes, "shifter/a.c", '#include "shifter/net/a.h"\n', "shifter/ may not include"),
    (check.check_includes, "shifter/bus/a.c", '#include "shifter/new/a.h"\n', "may not include"),
    *[(check.check_calls, "config/a.c", f"    {call} (x);\n", f"{call}() is banned")
      for call in check.BANNED],
    (check.check_head_comments, "config/a.c", "int x;\n", "head comment"),
    (check.check_head_comments, "config/a.c", "", "head comment"),
    (check.check_head_comments, "config/a.c", HEAD.format(name="b.c"), "` * a.c --"),
    (check.check_keys, "config/KEYS.md", "| `clusters.*` | x |\n", "is not in config/KEYS.md"),
    (check.check_keys, "config/samples/full.yaml", "clusters:\n", "is not in config/samples/full"),
    (check.check_readmes, "config/a.c", "", "does not name a.c"),
    (check.check_readmes, "config/README.md", "nothing\n", "does not name good.c"),
    (check.check_readmes, "config/deep/good.c", "", "config/deep/README.md:1: is missing"),
    (check.check_readmes, "tests/unit/config/test_other.c", "", "is missing"),
    (check.check_pages, "config/a.c", '    "see NEW.md"\n', "names NEW.md, which"),
    (check.check_pages, "config/a.c", '    "see config/KEYS.md"\n', "names config/KEYS.md, which"),
    (check.check_pages, "config/a.c", '    "\\"see GONE.md\\""\n', "names GONE.md, which"),
    (check.check_words, "config/a.c", "/* " + "TO" + "DO */\n", "is unfinished"),
    (check.check_words, "dev", "# " + "FIX" + "ME\n", "is unfinished"),
    (check.check_words, "tests/unit/test_a.py", "pytest.mark." + "skip\n", "a test is skipped"),
    (check.check_words, "tests/unit/config/test_good.c", "sk" + "ip();\n", "a test is skipped"),
    (check.check_words, "bench/README.md", "see /wor" + "k/main/x\n", "a path of one machine"),
]
BAD.append((check.check_calls, "tests/unit/config/test_good.c", " strtok(x);", "strtok() is banned"))
FINE = [  # what looks bad and is not
    (check.check_includes, "shifter/bus/a.c", '#include "shifter/bus/a.h"\n#include "shifter/net/a.h"\n'),
    (check.check_includes, "shifter/net/a.c", '#include "config/a.h"\n#include "proxy/http/a.h"\n'),
    (check.check_includes, "proxy/board/a.c", '#include "proxy/proxy.h"\n'),
    (check.check_calls, "config/a.c", "/* strcpy(a) */ \"system(x)\"; snprintf(a); my_atoi(x); a.system(x);\n"),
    (check.check_calls, "config/a.c", "p->gets(x); filesystem(x);\n"),
    (check.check_calls, "tests/unit/config/test_good.c", "strcpy(a, b); system(x);\n"),
    (check.check_pages, "config/a.c", '    "see (KEYS.md)" /* NEW.md */\n'),
    (check.check_readmes, "tests/unit/config/test_good_cases.c", ""),
    (check.check_readmes, "config/README.md", "`good`, `keys.{def}`: two\n"),
    (check.check_includes, "tests/unit/config/test_good.c", '#include "config_text.h"\n'),
]


class CheckTest(unittest.TestCase):
    def tree_with(self, folder, name=None, content=None):
        for path, text in {**GOOD, **({name: content} if name else {})}.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return Path(folder)

    def findings(self, checks, name=None, content=None):
        with tempfile.TemporaryDirectory() as folder:
            root = self.tree_with(folder, name, content)
            names = check.tracked(root)
            return [line for one in checks for line in one(root, names)]

    def test_a_good_tree_has_no_findings(self):
        self.assertEqual(self.findings(check.CHECKS), [])

    def test_each_bad_file_is_found(self):
        for one, name, content, expected in BAD:
            with self.subTest(check=one.__name__, name=name, content=content):
                found = self.findings([one], name, content)
                self.assertTrue(any(expected in line for line in found), found)

    def test_what_only_looks_bad_is_not_found(self):
        for one, name, content in FINE:
            with self.subTest(content=content):
                self.assertEqual(self.findings([one], name, content), [])

    def test_a_file_that_clang_format_would_change_is_found(self):
        if check.shutil.which("clang-format-14") is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            root = self.tree_with(folder, "config/a.c", "int  x ;\n")
            (root / ".clang-format").write_text((check.TREE / ".clang-format").read_text())
            found = list(check.check_format(root, check.tracked(root)))
            self.assertEqual([line.split(":")[0] for line in found], ["config/a.c"])

    def test_every_check_has_a_planted_file(self):
        planted = {one for one, *_ in BAD} | {check.check_format}
        self.assertEqual(planted, set(check.CHECKS))


if __name__ == "__main__":
    unittest.main()
