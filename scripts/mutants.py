#!/usr/bin/python3
"""Each mutant breaks one rule of the code, and must be seen to break it.

fuzz/mutants/TARGET-N.patch   its fuzz target must crash on it within two minutes
tests/mutants/NAME.patch      the test that its second line names must fail on it, and pass without it

A mutant that lives, or a patch that no longer applies, fails. Arguments choose fuzz targets and
names. Those of tests/ need a lab: only root runs them.
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS = 120


def sh(*cmd, cwd=None, timeout=900):
    return subprocess.run(cmd, cwd=cwd, text=True, errors='replace', stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=timeout, env=dict(os.environ, WERROR='no'))


@contextlib.contextmanager
def applied(tree, patch):
    """Yields what is wrong with it, if anything."""
    done = sh('patch', '-p1', '-i', patch, cwd=tree)
    if done.returncode:
        yield f'does not apply: {done.stdout[-300:]}'
        return
    try:
        yield None
    finally:
        sh('patch', '-R', '-p1', '-i', patch, cwd=tree)


def built(tree, kind):
    done = sh('scripts/build', kind, cwd=tree, timeout=1800)
    return f'does not build: {done.stdout[-300:]}' if done.returncode else None


def fuzz(tree, target):
    """What became of this mutant: 'caught', or why not."""
    wrong = built(tree, 'fuzz')
    if wrong:
        return wrong
    with tempfile.TemporaryDirectory() as found:
        cmd = [f'build/fuzz/{target}', f'-max_total_time={SECONDS}', f'-artifact_prefix={found}/', found]
        corpus = f'fuzz/corpus/{target}'
        cmd += [corpus] if os.path.isdir(os.path.join(tree, corpus)) else []
        dictionary = f'fuzz/{target}.dict'
        cmd += [f'-dict={dictionary}'] if os.path.exists(os.path.join(tree, dictionary)) else []
        ran = sh(*cmd, cwd=tree, timeout=SECONDS + 120)
    return 'caught' if ran.returncode else f'lived for {SECONDS} s'


def test(tree, path):
    """Which of its tests failed: a list, empty when all passed; or in words why it could not be run."""
    wrong = built(tree, 'test')
    if wrong:
        return wrong
    ran = sh('/usr/bin/python3', '-m', 'pytest', '-q', '--tb=line', '-p', 'no:cacheprovider', path, cwd=tree)
    if ran.returncode not in (0, 1):
        return f'was not run: {ran.stdout[-300:]}'
    return re.findall(r'^(?:FAILED|ERROR) \S+?::(\S+)', ran.stdout, re.M)


def judge_test(tree, path, sound):
    if path not in sound:
        sound[path] = test(tree, path)
    if sound[path]:
        return f'{path} fails without it: {sound[path]}'
    return None


def copy(tree):
    # Not the products: build/ at the top (scripts/build is another thing).
    shutil.copytree(TOP, tree, symlinks=True, ignore=lambda at, names: {'build', '.git', 'node_modules'} & set(names)
                    if at == TOP else {'node_modules'} & set(names))
    os.mkdir(os.path.join(tree, 'build'))
    daemons = os.path.join(TOP, 'build/debian')  # of others, unpacked
    if os.path.exists(daemons):
        sh('cp', '-a', daemons, os.path.join(tree, 'build'))


def main():
    wanted = set(sys.argv[1:])
    bad = done = 0

    def say(name, result, how=''):
        nonlocal bad, done
        done += 1
        bad += result != 'caught'
        print(f'{name}: {result}{how}', flush=True)

    with tempfile.TemporaryDirectory() as tmp:
        os.chmod(tmp, 0o755)  # the servers' users come through it
        tree = os.path.join(tmp, 'tree')
        copy(tree)
        for patch in sorted(glob.glob(os.path.join(tree, 'fuzz/mutants/*.patch'))):
            name = os.path.basename(patch)
            target = re.sub(r'-\d+\.patch$', '', name)
            if wanted and target not in wanted:
                continue
            with applied(tree, patch) as wrong:
                say(name, wrong or fuzz(tree, target))
        sound = {}
        for patch in sorted(glob.glob(os.path.join(tree, 'tests/mutants/*.patch'))):
            name = os.path.basename(patch)
            if wanted and name[:-len('.patch')] not in wanted:
                continue
            if os.geteuid() != 0:
                print(f'{name}: left out: only root makes networks')
                continue
            with open(patch) as f:
                path = f.readlines()[1].strip('# \n')
            wrong = judge_test(tree, path, sound)
            if wrong:
                say(name, wrong)
                continue
            with applied(tree, patch) as wrong:
                failed = wrong or test(tree, path)
            if isinstance(failed, str):
                say(name, failed)
            else:
                say(name, 'caught' if failed else f'lived: {path} passes', f' by {", ".join(failed)}' if failed else '')
    return 1 if bad or not done else 0


if __name__ == '__main__':
    sys.exit(main())
