"""What the scenarios need from the machine: programs, processes and their memory, a folder on a real disk."""
import atexit
import contextlib
import functools
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, 'scripts'))
from debian import Unavailable  # noqa: E402, F401

TICKS = os.sysconf('SC_CLK_TCK')


def build():
    """Builds the server and the bench's programs; returns the folder."""
    subprocess.run([os.path.join(TOP, 'scripts/build'), 'release'], check=True)
    folder = os.path.join(TOP, 'build/release')
    done = subprocess.run(['ninja', '-C', folder, 'bench-load', 'bench-slow-disk', 'bench-fill', 'bench-tls-sink'], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return folder


@functools.cache
def place():
    """Where the folders lie: on /var/tmp, which is a disk where /tmp may be memory.  It is marked as the top of directory
    trees, so that ext4 gives each of them another part of the disk.  Else they would share one, and without a journal
    ext4 looks for minutes past every inode that was deleted: what one server deletes would slow the other one."""
    path = tempfile.mkdtemp(prefix='postern-bench-', dir=os.environ.get('BENCH_DIR', '/var/tmp'))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    os.chmod(path, 0o755)
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(['chattr', '+T', path], capture_output=True)
    return path


def folder():
    """A new folder for the data of a server."""
    path = tempfile.mkdtemp(dir=place())
    os.chmod(path, 0o755)
    return path


def file_system(path):
    done = subprocess.run(['stat', '-f', '-c', '%T', path], capture_output=True, text=True)
    return done.stdout.strip() or 'unknown'


def sync_us(path, n=200):
    """The median of an fdatasync after an append of 4 KiB, in microseconds: what a sync costs here."""
    name = os.path.join(path, 'sync-test')
    fd = os.open(name, os.O_CREAT | os.O_WRONLY, 0o600)
    took = []
    try:
        for _ in range(n):
            os.write(fd, b'x' * 4096)
            begin = time.perf_counter()
            os.fdatasync(fd)
            took.append(time.perf_counter() - begin)
    finally:
        os.close(fd)
        os.unlink(name)
    return sorted(took)[n // 2] * 1e6


def processor():
    with open('/proc/cpuinfo') as f:
        names = [line.split(':', 1)[1].strip() for line in f if line.startswith('model name')]
    return names[0] if names else os.uname().machine


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_port(port, timeout=20):
    deadline = time.monotonic() + timeout
    while True:
        try:
            with socket.create_connection(('127.0.0.1', port), 2) as s:
                return s.recv(1) if s else None
        except OSError:
            if time.monotonic() > deadline:
                raise Unavailable(f'nobody listens on port {port}')
            time.sleep(0.05)


# ---- processes ----

def tree(pid):
    """A process and all that descend from it."""
    parents = {}
    for path in glob.glob('/proc/[0-9]*/stat'):
        with contextlib.suppress(OSError):
            with open(path) as f:
                text = f.read()
            parents.setdefault(int(text.rsplit(')', 1)[1].split()[1]), []).append(int(text.split()[0]))
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += parents.get(p, [])
    return out


def cpu_seconds(pid):
    """What a server used until now, its ended processes included."""
    total = 0
    for p in tree(pid):
        with contextlib.suppress(OSError):
            with open(f'/proc/{p}/stat') as f:
                total += sum(int(v) for v in f.read().rsplit(')', 1)[1].split()[11:15])
    return total / TICKS


def pss_mb(pid):
    """Memory of a server: the proportional set size of all its processes, in MB (10^6)."""
    total = 0
    for p in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            try:
                with open(f'/proc/{p}/smaps_rollup') as f:
                    total += next((int(line.split()[1]) for line in f if line.startswith('Pss:')), 0)
            except PermissionError:
                raise Unavailable('only root can read the memory of these processes')
    return total * 1024 / 1e6


def stop(process, timeout=20):
    """Ends what was started here, and what that has started (it leads a group of its own)."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


# ---- the loader ----

class Loader:
    def __init__(self, folder):
        self.program = os.path.join(folder, 'bench-load')

    def command(self, port, options):
        out = [self.program, '--server', f'127.0.0.1:{port}']
        for key, value in options.items():
            key = '--' + key.replace('_', '-')
            if value is True:
                out.append(key)
            elif value is not None and value is not False:
                out += [key, str(value)]
        return out

    def run(self, port, timeout=300, **options):
        done = subprocess.run(self.command(port, options), capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or f'the loader ended with {done.returncode}')
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def hold(self, port, n, **options):
        """Holds n connections while the block runs."""
        p = subprocess.Popen(self.command(port, dict(options, sessions=n, idle=True)), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            line = p.stdout.readline()
            if not line:
                raise RuntimeError(p.communicate()[1].strip())
            yield json.loads(line)
            out, err = p.communicate(timeout=120)
            if p.returncode:
                raise RuntimeError(err.strip())
            lost = json.loads(out)['lost']
            if lost:
                raise RuntimeError(f'{lost} of {n} connections were closed')
        finally:
            if p.poll() is None:
                p.kill()
            p.wait()
