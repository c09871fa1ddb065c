"""Debian's packages, unpacked below build/debian: nothing is installed, nothing on the system changes."""
import glob
import os
import re
import shutil
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(TOP, 'build/debian')


class Unavailable(Exception):
    """It cannot be had on this machine."""


def download(package, to):
    """Downloads a package and unpacks it into a folder, with the libraries it needs and the system has not."""
    with tempfile.TemporaryDirectory() as room:
        got = subprocess.run(['apt-get', 'download', '-q', package], cwd=room, capture_output=True, text=True)
        debs = glob.glob(os.path.join(room, '*.deb'))
        if got.returncode or not debs:
            raise Unavailable(f'the package {package} could not be downloaded (no network, or apt-get update is needed)')
        subprocess.run(['dpkg', '-x', debs[0], to], check=True)
        needs = subprocess.run(['dpkg-deb', '-f', debs[0], 'Depends'], capture_output=True, text=True, check=True).stdout
    for name in re.findall(r'(?:^|, )(lib[a-z0-9.+-]+)', needs):
        there = subprocess.run(['dpkg-query', '-W', '-f', '${Status}', name], capture_output=True, text=True)
        if 'ok installed' not in there.stdout:
            download(name, to)


def unpacked(*packages):
    """The folder that holds these packages' usr/, named after the first."""
    root = os.path.join(WORK, packages[0])
    if os.path.isdir(root):
        return root
    if not shutil.which('apt-get'):
        raise Unavailable('this is no Debian system: there is no apt-get to download its packages with')
    os.makedirs(WORK, exist_ok=True)
    new = tempfile.mkdtemp(prefix=packages[0] + '-', dir=WORK)
    os.chmod(new, 0o755)
    try:
        for package in packages:
            download(package, new)
        os.rename(new, root)
    except OSError:
        if not os.path.isdir(root):  # else another run was first
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return root
