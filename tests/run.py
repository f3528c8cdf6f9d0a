#!/usr/bin/python3
"""run.py -- runs every test and counts; `./dev test` is the way to call it.

1. The dev preset (ASan and UBSan) is built and all its ctests run: unit, simulation, style, fuzz
   regression.
2. The simulation runs again in the release build, with all its seeds.
3. The black-box tests, those in a browser too, run against build/release/crossfade, then again,
   but for those marked `release_only` (and, in an ordinary run, `slow`), against
   build/dev/crossfade, where a sanitizer's report fails the test that caused it.

The last line is `N passed, N failed`, over everything; the exit status is 0 only if none failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import tally

TREE = Path(__file__).resolve().parent.parent
RESULTS = TREE / "build/results"
MINUTES_MAX = 15  # of an ordinary run on two cores; what is still running then has failed


class Run:
    def __init__(self, jobs, long):
        self.jobs = jobs
        self.long = long
        self.count = tally.Count()
        self.began = time.monotonic()
        self.environment = {**os.environ, **({"CROSSFADE_LONG": "1"} if long else {})}

    def seconds_left(self):
        return None if self.long else max(1, MINUTES_MAX * 60 - (time.monotonic() - self.began))

    def command(self, title, arguments, **environment):
        """Runs one command, bounded in time; True when it exited with 0."""
        print(f"== {title}", flush=True)
        began = time.monotonic()
        try:
            done = subprocess.run(arguments, cwd=TREE, timeout=self.seconds_left(),
                                  env={**self.environment, **environment}, check=False)
            good = done.returncode == 0
        except subprocess.TimeoutExpired:
            print(f"run.py: {title}: the {MINUTES_MAX} minutes are over", flush=True)
            good = False
        print(f"== {title}: {time.monotonic() - began:.0f} s", flush=True)
        return good

    def build(self):
        good = (self.command("configure dev", ["cmake", "--preset", "dev", "--log-level=WARNING"])
                and self.command("build dev", ["cmake", "--build", "--preset", "dev", "-j",
                                               str(self.jobs), "--", "--quiet"]))
        if not good:
            self.count.fail("the dev preset does not build")
        return good

    def ctest(self):
        report = RESULTS / "ctest.xml"
        good = self.command("ctest (ASan, UBSan)", [
            "ctest", "--test-dir", "build/dev", "--output-junit", str(report), "-j", str(self.jobs),
            "--output-on-failure", "--test-output-size-passed", "1000000",
            "--no-tests=error", "--timeout", "3600" if self.long else "300",
        ])
        self.count.add_ctest(report, good)

    def simulation(self):
        """Sanitized it ran a few seeds; here it runs the rest, in the build that is fast."""
        report = RESULTS / "simulation.xml"
        good = (self.command("configure the simulation (release)", [
                    "cmake", "--preset", "release", "-DXF_TESTS=ON", "--log-level=WARNING"])
                and self.command("build the simulation (release)", [
                    "cmake", "--build", "--preset", "release", "-j", str(self.jobs), "--target",
                    "test_sim", "--", "--quiet"])
                and self.command("simulation (release)", [
                    "ctest", "--test-dir", "build/release", "--output-junit", str(report), "-L",
                    "sim", "--output-on-failure", "--no-tests=error"]))
        self.count.add_ctest(report, good)

    def blackbox(self, name, binary, markers):
        if not any((TREE / "tests/blackbox").glob("test_*.py")):
            return
        report = RESULTS / f"blackbox-{name}.xml"
        if not self.long:
            markers = f"({markers}) and not long" if markers else "not long"
        good = self.command(f"black box, {name}", [
            sys.executable, "-m", "pytest", "-q", "-c", "tests/pytest.ini", "tests/blackbox",
            "tests/browser",
            "-m", markers, f"--junitxml={report}",
            # They mostly wait: for holds, quiet times and servers. A file's tests share fixtures.
            "-n", str(2 * self.jobs), "--dist", "loadfile",
        ],
            CROSSFADE_BINARY=str(TREE / binary))
        self.count.add_pytest(report, good, name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="also what takes hours")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    run = Run(options.jobs, options.long)
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    if run.build():
        run.ctest()
        run.simulation()
        run.blackbox("release", "build/release/crossfade", "")
        run.blackbox("sanitized", "build/dev/crossfade",
                     "not release_only" if options.long else "not release_only and not slow")
    for reason in run.count.reasons:
        print(f"failed: {reason}")
    print(f"{time.monotonic() - run.began:.0f} s in all; reports in build/results")
    print(f"{run.count.passed} passed, {run.count.failed} failed")
    return 1 if run.count.failed > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
