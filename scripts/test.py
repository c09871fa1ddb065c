#!/usr/bin/python3
"""Builds and runs all tests; the last line is 'N passed, N failed'.

Parts: check, build (gcc, clang), unit (cmocka programs and dialogs, printing TAP),
system (pytest against a running server), fuzz (each target for a few seconds).
--full adds every crash point, mutants and valgrind.

Tests wait most of their time, so several run at once. What no test needs (clang's
warnings, fuzz targets) is compiled and run beside them, with what processor time they leave.
"""
import argparse
import concurrent.futures
import functools
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(TOP)

ASAN = 'abort_on_error=0:detect_stack_use_after_return=1:strict_string_checks=1'
SHOWN, SHOWN_AGAIN = 120, 25  # lines of what a failed program said
LONGEST = 2000  # of a line, characters
AT_ONCE = 2 * os.cpu_count()  # test programs
BESIDE = ['nice', '-n', '10']  # a command that takes what others leave
ENV = dict(os.environ, ASAN_OPTIONS=ASAN, UBSAN_OPTIONS='print_stacktrace=1:halt_on_error=1')


# What passed, how a fuzzer got on, and its own part of a stack explain nothing.
DULL = re.compile(r'ok |#\d+\s+(NEW|REDUCE|pulse|RELOAD|INITED)\b|\s+#\d+ 0x\w+ (in )?(fuzzer::|__sanitizer|raise |abort |main |_*start|__libc|\(/lib|__pthread)')


def telling(output):
    return [line[:LONGEST] for line in output.splitlines() if line.strip() and not DULL.match(line)]


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.lock = threading.Lock()

    def add(self, *result):
        with self.lock:
            self.count(*result)

    def count(self, name, passed, failed, skipped, seconds, output=''):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        mark = 'FAIL' if failed else 'ok'
        skip = f', {skipped} skipped' if skipped else ''
        print(f'{mark:4} {name:44} {passed} passed, {failed} failed{skip}  ({seconds:.1f} s)', flush=True)
        if failed:
            self.failures.append((name, telling(output)))
            print('\n'.join('     | ' + line for line in telling(output)[-SHOWN:]), flush=True)


def run(cmd, timeout, env=None):
    """Returns (exit status, output, seconds); a time-out counts as a failure."""
    begin = time.monotonic()
    p = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env or ENV,
                         errors='replace', text=True)
    try:
        out, status = p.communicate(timeout=timeout)[0], p.returncode
    except subprocess.TimeoutExpired:
        # As Ctrl-C: pytest says where it was, and stops the servers that it started.
        p.send_signal(signal.SIGINT)
        try:
            out = p.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired:
            p.kill()
            out = 'it did not end on SIGINT either'
            p.wait()
        out, status = f'{out}\ntimed out after {timeout} s', 124
    return status, out, time.monotonic() - begin


def step(tally, name, cmd, timeout=600):
    status, out, seconds = run(cmd, timeout)
    tally.add(name, int(status == 0), int(status != 0), 0, seconds, out)
    return status == 0


def tap(out, status):
    """Counts of a TAP stream; a program that dies without a failing line fails once."""
    # cmocka says "not ok ... # SKIP" of a test that skipped itself.
    lines = re.findall(r'^(ok|not ok)\b(.*)$', out, re.M)
    skipped = sum('# SKIP' in rest for _, rest in lines)
    passed = sum(word == 'ok' and '# SKIP' not in rest for word, rest in lines)
    failed = sum(word == 'not ok' and '# SKIP' not in rest for word, rest in lines)
    if status != 0 and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        failed = 1
    return passed, failed, skipped


def programs(kind, suffix):
    folder = f'build/{kind}'
    return sorted(os.path.join(folder, f) for f in os.listdir(folder)
                  if f.endswith(suffix) and os.access(os.path.join(folder, f), os.X_OK))


def together(tally, jobs, at_once=AT_ONCE):
    """Runs jobs, functions that return what Tally.add takes; each result is shown when it is there."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for done in concurrent.futures.as_completed([pool.submit(job) for job in jobs]):
            tally.add(*done.result())


def units(kind, full, wrap=(), label='unit'):
    """A job for each test program of build/KIND."""
    env = dict(ENV)
    if full:
        env['POSTERN_FULL'] = '1'
    timeout = 3600 if full or wrap else 600  # under valgrind a password hash takes a minute

    def one(program):
        status, out, seconds = run([*wrap, program], timeout, env)
        return f'{label} {os.path.basename(program)}', *tap(out, status), seconds, out

    return [functools.partial(one, p) for p in programs(kind, '_test')]


# These take longest: whoever starts them last waits for them.
FIRST = {'test_bench', 'test_bounces', 'test_dovecot', 'test_fallback', 'test_ports_limits', 'test_rogue', 'test_serve', 'test_testssl'}


def pytests(folders, binary, full=False):
    """A job for each file, so that its result is seen at once, and it has a time-out of its own."""
    env = dict(ENV, POSTERN_BIN=os.path.join(TOP, binary), **({'POSTERN_FULL': '1'} if full else {}))

    def one(path):
        with tempfile.TemporaryDirectory() as tmp:
            report = os.path.join(tmp, 'report.xml')
            status, out, seconds = run(['/usr/bin/python3', '-m', 'pytest', '-q', '--tb=short', '-p', 'no:cacheprovider',
                                        '--basetemp', os.path.join(tmp, 't'), '--junitxml', report, path], 3600 if full else 900, env)
            passed = failed = skipped = 0
            if os.path.exists(report):
                for suite in ET.parse(report).getroot().iter('testsuite'):
                    failed += int(suite.get('failures')) + int(suite.get('errors'))
                    skipped += int(suite.get('skipped'))
                    passed += int(suite.get('tests'))
                passed -= failed + skipped
        if status != 0 and failed == 0:
            failed = 1
        return f'{os.path.basename(os.path.dirname(path))} {name_of(path)}', passed, failed, skipped, seconds, out

    def name_of(path):
        return os.path.basename(path)[:-len('.py')]

    paths = [p for folder in folders for p in sorted(glob.glob(f'{folder}/test_*.py'))]
    paths.sort(key=lambda p: name_of(p) not in FIRST)
    return [functools.partial(one, p) for p in paths]


def fuzz(seconds_each, seed):
    """A job for each fuzz target.  seed 0: another way each time."""
    def one(target):
        name = os.path.basename(target)
        corpus = f'fuzz/corpus/{name}'
        with tempfile.TemporaryDirectory() as found:
            cmd = [target, f'-max_total_time={seconds_each}', f'-seed={seed}', '-timeout=20', '-rss_limit_mb=3000', '-print_final_stats=1',
                   f'-artifact_prefix={found}/', found]
            if os.path.isdir(corpus):
                cmd.append(corpus)
            if os.path.exists(f'fuzz/{name}.dict'):
                cmd.append(f'-dict=fuzz/{name}.dict')
            status, out, seconds = run([*BESIDE, *cmd], seconds_each + 300)
            for crash in sorted(os.listdir(found)):
                if crash.startswith(('crash-', 'leak-', 'timeout-', 'oom-')):
                    keep = os.path.join('build', crash)
                    os.replace(os.path.join(found, crash), keep)
                    out += f'\nthe input is kept: {keep}\n'
            runs = re.search(r'number_of_executed_units: (\d+)', out)
        return (f'fuzz {name} ({int(runs.group(1)) if runs else 0} runs)', int(status == 0), int(status != 0), 0, seconds, out)

    return [functools.partial(one, p) for p in programs('fuzz', '_fuzz')]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--full', action='store_true')
    ap.add_argument('--only', action='append', help='check, build, unit, system, fuzz, mutants, valgrind')
    ap.add_argument('--fuzz-seconds', type=int, default=None)
    args = ap.parse_args()
    parts = args.only or (['check', 'build', 'unit', 'system', 'fuzz'] + (['mutants', 'valgrind'] if args.full else []))
    fuzz_seconds = args.fuzz_seconds or (60 if args.full else 3)
    # `make test` says the same of the same commit; what is new is looked for by `make fuzz` and --full.
    fuzz_seed = 0 if args.full or args.fuzz_seconds else 1
    tally = Tally()
    begin = time.monotonic()

    if 'check' in parts:
        step(tally, 'check (layers, format, banned, man pages)', ['scripts/check'])

    def build(kind, beside=()):
        return step(tally, f'build {kind}, no warnings', [*beside, 'scripts/build', kind], 1200)

    def rest():
        """What no test of the first kinds needs; returns whether fuzz targets are there."""
        built = {'fuzz', 'mutants'} & set(parts) and build('fuzz', BESIDE)
        if 'build' in parts:
            build('clang', BESIDE)
        if 'fuzz' in parts and built:
            together(tally, fuzz(fuzz_seconds, fuzz_seed), os.cpu_count())
        return built

    built = {'unit', 'system', 'build'} & set(parts) and build('test')
    if {'system', 'build'} & set(parts):
        build('release')
    crowd = []
    if 'system' in parts and built:
        crowd = pytests(['tests/system', 'tests/lab', 'tests/fault', 'tests/interop'], 'build/test/postern', args.full)
    if 'unit' in parts and built:
        crowd += units('test', args.full)
    with concurrent.futures.ThreadPoolExecutor(1) as background:
        fuzz_built = background.submit(rest)
        together(tally, crowd)
    fuzz_built = fuzz_built.result()
    if 'mutants' in parts and fuzz_built:
        step(tally, 'mutants: each is caught', ['/usr/bin/python3', 'scripts/mutants.py'], 9000)
    if 'valgrind' in parts and build('plain'):
        together(tally, units('plain', False, ['valgrind', '-q', '--error-exitcode=9', '--leak-check=full',
                                               '--errors-for-leak-kinds=definite', '--fair-sched=yes',
                                               '--suppressions=tests/valgrind/unit.supp'], 'valgrind'), os.cpu_count())
        together(tally, pytests(['tests/valgrind'], 'build/plain/postern'), os.cpu_count())
        step(tally, 'a million deferred messages: memory, start, listing',
             ['env', 'POSTERN_MILLION=1000000', 'build/plain/queue-million_test'], 900)
    skip = f', {tally.skipped} skipped' if tally.skipped else ''
    # Once more where all see it: logs are read, and cut, from their end.
    for name, lines in tally.failures:
        print(f'failed: {name}')
        print('\n'.join('     | ' + line for line in lines[-SHOWN_AGAIN:]))
    print(f'took {time.monotonic() - begin:.0f} s')
    print(f'{tally.passed} passed, {tally.failed} failed{skip}')
    return 1 if tally.failed else 0


if __name__ == '__main__':
    sys.exit(main())
