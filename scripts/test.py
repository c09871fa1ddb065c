#!/usr/bin/python3
"""Builds and runs all tests; the last line is 'N passed, N failed'.

Parts: check, build (gcc, clang), unit (cmocka programs and dialogs, printing TAP),
system (pytest against a running server), fuzz (each target for a few seconds).
--full adds every crash point, mutants and valgrind.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(TOP)

ASAN = 'abort_on_error=0:detect_stack_use_after_return=1:strict_string_checks=1'
SHOWN = 120  # lines of what a failed program said
ENV = dict(os.environ, ASAN_OPTIONS=ASAN, UBSAN_OPTIONS='print_stacktrace=1:halt_on_error=1')


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, name, passed, failed, skipped, seconds, output=''):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        mark = 'FAIL' if failed else 'ok'
        skip = f', {skipped} skipped' if skipped else ''
        print(f'{mark:4} {name:44} {passed} passed, {failed} failed{skip}  ({seconds:.1f} s)', flush=True)
        if failed:
            self.failures.append(name)
            # What passed explains nothing; of the rest the end, where the reason stands.
            tail = [line for line in output.splitlines() if not line.startswith('ok ')][-SHOWN:]
            print('\n'.join('     | ' + line for line in tail), flush=True)


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


def unit(tally, kind, full, wrap=(), label='unit'):
    env = dict(ENV)
    if full:
        env['POSTERN_FULL'] = '1'
    timeout = 3600 if full or wrap else 600  # under valgrind a password hash takes a minute

    def one(program):
        return program, run([*wrap, program], timeout, env)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, (status, out, seconds) in pool.map(one, programs(kind, '_test')):
            tally.add(f'{label} {os.path.basename(program)}', *tap(out, status), seconds, out)


# These hold a server to a time: nothing runs beside them.
ALONE = {'test_accounts', 'test_drip', 'test_killed'}


def pytests(tally, folders, binary, full=False):
    """Each file by itself: its result is seen at once, and it has a time-out of its own."""
    env = dict(ENV, POSTERN_BIN=os.path.join(TOP, binary), **({'POSTERN_FULL': '1'} if full else {}))

    def one(path):
        with tempfile.TemporaryDirectory() as tmp:
            report = os.path.join(tmp, 'report.xml')
            status, out, seconds = run(['/usr/bin/python3', '-m', 'pytest', '-q', '--tb=short', '-p', 'no:cacheprovider',
                                        '--junitxml', report, path], 3600 if full else 900, env)
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
    # Most of them wait most of the time: two at once.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for result in pool.map(one, [p for p in paths if name_of(p) not in ALONE]):
            tally.add(*result)
    for p in paths:
        if name_of(p) in ALONE:
            tally.add(*one(p))


def fuzz(tally, seconds_each):
    def one(target):
        name = os.path.basename(target)
        corpus = f'fuzz/corpus/{name}'
        with tempfile.TemporaryDirectory() as found:
            cmd = [target, f'-max_total_time={seconds_each}', '-timeout=20', '-rss_limit_mb=3000', '-print_final_stats=1',
                   f'-artifact_prefix={found}/', found]
            if os.path.isdir(corpus):
                cmd.append(corpus)
            if os.path.exists(f'fuzz/{name}.dict'):
                cmd.append(f'-dict=fuzz/{name}.dict')
            status, out, seconds = run(cmd, seconds_each + 300)
            for crash in sorted(os.listdir(found)):
                if crash.startswith(('crash-', 'leak-', 'timeout-', 'oom-')):
                    keep = os.path.join('build', crash)
                    os.replace(os.path.join(found, crash), keep)
                    out += f'\nthe input is kept: {keep}\n'
            runs = re.search(r'number_of_executed_units: (\d+)', out)
            return name, status, out, seconds, int(runs.group(1)) if runs else 0

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, status, out, seconds, runs in pool.map(one, programs('fuzz', '_fuzz')):
            tally.add(f'fuzz {name} ({runs} runs)', int(status == 0), int(status != 0), 0, seconds, out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--full', action='store_true')
    ap.add_argument('--only', action='append', help='check, build, unit, system, fuzz, mutants, valgrind')
    ap.add_argument('--fuzz-seconds', type=int, default=None)
    args = ap.parse_args()
    parts = args.only or (['check', 'build', 'unit', 'system', 'fuzz'] + (['mutants', 'valgrind'] if args.full else []))
    fuzz_seconds = args.fuzz_seconds or (60 if args.full else 3)
    tally = Tally()
    begin = time.monotonic()

    if 'check' in parts:
        step(tally, 'check (layers, format, banned, man pages)', ['scripts/check'])
    kinds = []
    if {'unit', 'system', 'build'} & set(parts):
        kinds.append('test')
    if 'build' in parts:
        kinds += ['clang', 'release']
    if 'fuzz' in parts or 'mutants' in parts:
        kinds.append('fuzz')
    if 'valgrind' in parts:
        kinds.append('plain')
    built = {k for k in kinds if step(tally, f'build {k}, no warnings', ['scripts/build', k], 1200)}
    if 'unit' in parts and 'test' in built:
        unit(tally, 'test', args.full)
    if 'system' in parts and 'test' in built:
        pytests(tally, ['tests/system', 'tests/lab', 'tests/fault', 'tests/interop'], 'build/test/postern', args.full)
    if 'fuzz' in parts and 'fuzz' in built:
        fuzz(tally, fuzz_seconds)
    if 'mutants' in parts and 'fuzz' in built:
        step(tally, 'mutants: each is caught by its target', ['/usr/bin/python3', 'scripts/mutants.py'], 5400)
    if 'valgrind' in parts and 'plain' in built:
        unit(tally, 'plain', False, ['valgrind', '-q', '--error-exitcode=9', '--leak-check=full',
                                     '--errors-for-leak-kinds=definite', '--fair-sched=yes',
                                     '--suppressions=tests/valgrind/unit.supp'], 'valgrind')
        pytests(tally, ['tests/valgrind'], 'build/plain/postern')
        step(tally, 'a million deferred messages: memory, start, listing',
             ['env', 'POSTERN_MILLION=1000000', 'build/plain/queue-million_test'], 900)
    skip = f', {tally.skipped} skipped' if tally.skipped else ''
    if tally.failures:
        print('failed: ' + ', '.join(tally.failures))
    print(f'took {time.monotonic() - begin:.0f} s')
    print(f'{tally.passed} passed, {tally.failed} failed{skip}')
    return 1 if tally.failed else 0


if __name__ == '__main__':
    sys.exit(main())
