#!/usr/bin/python3
"""Each mutant in fuzz/mutants must be caught by its fuzz target: TARGET-N.patch breaks
the code in one place; the target must crash on it within two minutes.  A mutant
that lives, or a patch that no longer applies, fails.  Arguments choose targets."""
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


def judge(tree, patch, target):
    """What became of this mutant: 'caught', or why not."""
    applied = sh('patch', '-p1', '-i', patch, cwd=tree)
    if applied.returncode:
        return f'does not apply: {applied.stdout[-300:]}'
    try:
        built = sh('scripts/build', 'fuzz', cwd=tree)
        if built.returncode:
            return f'does not build: {built.stdout[-300:]}'
        with tempfile.TemporaryDirectory() as found:
            cmd = [f'build/fuzz/{target}', f'-max_total_time={SECONDS}', f'-artifact_prefix={found}/', found]
            corpus = f'fuzz/corpus/{target}'
            cmd += [corpus] if os.path.isdir(os.path.join(tree, corpus)) else []
            dictionary = f'fuzz/{target}.dict'
            cmd += [f'-dict={dictionary}'] if os.path.exists(os.path.join(tree, dictionary)) else []
            ran = sh(*cmd, cwd=tree, timeout=SECONDS + 120)
        return 'caught' if ran.returncode else f'lived for {SECONDS} s'
    finally:
        sh('patch', '-R', '-p1', '-i', patch, cwd=tree)


def main():
    folder = os.path.join(TOP, 'fuzz/mutants')
    patches = sorted(f for f in os.listdir(folder) if f.endswith('.patch'))
    wanted = sys.argv[1:]
    bad = 0
    with tempfile.TemporaryDirectory() as tmp:
        tree = os.path.join(tmp, 'tree')
        # Not the products: build/ at the top (scripts/build is another thing).
        shutil.copytree(TOP, tree, ignore=lambda at, names: {'build', '.git', 'node_modules'} & set(names)
                        if at == TOP else {'node_modules'} & set(names))
        for name in patches:
            target = re.sub(r'-\d+\.patch$', '', name)
            if wanted and target not in wanted:
                continue
            result = judge(tree, os.path.join(folder, name), target)
            print(f'{name}: {result}', flush=True)
            bad += result != 'caught'
    return 1 if bad or not patches else 0


if __name__ == '__main__':
    sys.exit(main())
