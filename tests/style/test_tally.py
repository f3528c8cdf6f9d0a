#!/usr/bin/python3
"""test_tally.py -- the count at the end of `./dev test` loses no failure."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tally  # noqa: E402

CMOCKA_GOOD = "[==========] 3 test(s) run.\n[  PASSED  ] 3 test(s).\n"
CMOCKA_BAD = "[==========] 3 test(s) run.\n[  PASSED  ] 1 test(s).\n[  FAILED  ] 2 test(s), listed below:\n"
CMOCKA_NONE = "[==========] 2 test(s) run.\n[  PASSED  ] 0 test(s).\n[  FAILED  ] tests: 2 test(s)\n"


def case(body, status="run"):
    return f'<testsuite><testcase name="t" classname="c" status="{status}">{body}</testcase></testsuite>'


class TallyTest(unittest.TestCase):
    def counted(self, method, text, good, *more):
        count = tally.Count()
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.xml")
            if text is not None:
                report.write_text(text)
            getattr(count, method)(report, good, *more)
        return count.passed, count.failed

    def test_programs_count_the_tests_they_ran(self):
        rows = [  # output, good, passed, failed
            (CMOCKA_GOOD, True, 3, 0),
            (CMOCKA_GOOD + CMOCKA_GOOD, True, 6, 0),
            (CMOCKA_BAD, False, 1, 2),
            (CMOCKA_NONE, False, 0, 2),
            (CMOCKA_GOOD + "LeakSanitizer", False, 3, 1),
            ("[==========] 3 test(s) run.\n", False, 0, 3),
            ("Ran 5 tests in 0.1s\n\nOK\n", True, 5, 0),
            ("Ran 5 tests in 0.1s\n\nFAILED\n", False, 0, 1),
            ("", True, 1, 0),
            ("", False, 0, 1),
        ]
        for output, good, passed, failed in rows:
            with self.subTest(output=output, good=good):
                count = tally.Count()
                count.add_program("name", output, good)
                self.assertEqual((count.passed, count.failed), (passed, failed))

    def test_ctest_reports(self):
        rows = [
            (case(f"<system-out>{CMOCKA_GOOD}</system-out>"), True, (3, 0)),
            (case('<failure message="x"/>', "fail"), False, (0, 1)),
            (case('<skipped message="x"/>', "notrun"), False, (0, 1)),
            (case(""), False, (1, 1)),
            (None, True, (0, 1)),
            ("<testsuite", True, (0, 1)),
        ]
        for text, good, expected in rows:
            with self.subTest(text=text):
                self.assertEqual(self.counted("add_ctest", text, good), expected)

    def test_pytest_reports(self):
        rows = [
            (case(""), True, (1, 0)),
            (case('<failure message="x"/>'), False, (0, 1)),
            (case('<error message="x"/>'), False, (0, 1)),
            (case('<skipped message="x"/>'), True, (0, 1)),
            (case(""), False, (1, 1)),
            (None, False, (0, 1)),
        ]
        for text, good, expected in rows:
            with self.subTest(text=text):
                self.assertEqual(self.counted("add_pytest", text, good, "release"), expected)


if __name__ == "__main__":
    unittest.main()
