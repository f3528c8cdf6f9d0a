"""tally.py -- counts tests from the reports of ctest and pytest.

A ctest that is a cmocka or unittest program counts as many tests as it says it ran.  Nothing is
lost on the way: a program that fails without a failed test, a report that is missing and a test
that was skipped each count as a failure.
"""

import re
import xml.etree.ElementTree as ElementTree


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.reasons = []

    def fail(self, reason, times=1):
        self.failed += times
        self.reasons.append(reason)

    def add_program(self, name, output, good):
        """One ctest, by what it printed."""
        groups = [int(n) for n in re.findall(r"^\[=+\] (\d+) test\(s\) run\.", output, flags=re.M)]
        passes = [int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test\(s\)\.", output, flags=re.M)]
        ran = re.findall(r"^Ran (\d+) tests? in ", output, flags=re.M)
        if groups:
            passed = sum(passes)
            failed = sum(groups) - passed
        elif ran:
            passed = int(ran[-1]) if good else 0
            failed = 0
        else:
            passed = 1 if good else 0
            failed = 0
        self.passed += passed
        if failed > 0 or not good:
            self.fail(name, max(failed, 1))

    def add_ctest(self, report, good):
        before = self.failed
        for case in self.cases(report):
            output = case.findtext("system-out") or ""
            self.add_program(case.get("name"), output, case.get("status") == "run"
                             and case.find("failure") is None and case.find("skipped") is None)
        if not good and self.failed == before:
            self.fail("ctest")

    def add_pytest(self, report, good, name):
        before = self.failed
        for case in self.cases(report):
            title = f"{name}: {case.get('classname')}.{case.get('name')}"
            if any(case.find(tag) is not None for tag in ("failure", "error", "skipped")):
                self.fail(title)
            else:
                self.passed += 1
        if not good and self.failed == before:
            self.fail(f"pytest, {name}")

    def cases(self, report):
        try:
            return list(ElementTree.parse(report).getroot().iter("testcase"))
        except (OSError, ElementTree.ParseError) as error:
            self.fail(f"{report.name}: {error}")
            return []
