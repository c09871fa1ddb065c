"""A throw-away Postern in a folder of its own, for the demo and the tests.

    with Server(binary) as s:
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', 'secret')
        smtplib.SMTP('127.0.0.1', s.port['submission'])

All four listeners run on loopback at their usual ports plus an offset that was
free.  Nothing outside the folder is touched; stop() ends what start() began.
"""
import collections
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# How long a fact is waited for, in seconds.  It costs nothing where all is well, and a busy machine takes its time.
PATIENCE = 60

USUAL = {'relay': 25, 'submissions': 465, 'submission': 587, 'fallback': 2525}
HOST = 'mx.example.org'


def free_offset(ports, addresses=('127.0.0.1',)):
    """An offset at which all these ports are free now."""
    for _ in range(200):
        offset = random.randrange(10000, 28000)
        held = []
        try:
            for address in addresses:
                for port in ports:
                    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
                    held.append(s)
                    s.bind((address, port + offset))
            return offset
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise RuntimeError('no free ports found')


def merged(base, more):
    """A copy of base with more laid over it, maps within maps included."""
    out = dict(base)
    for key, value in more.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class Server:
    patience = PATIENCE  # with the command line

    def __init__(self, binary, config=None, folder=None, env=None, args=(), within=None):
        """within: a host of the tests' lab, where it runs with its usual ports."""
        self.binary = os.path.abspath(binary)
        self.within = within
        self.own_folder = folder is None
        # Short: paths of Unix sockets have room for 107 bytes.
        self.folder = folder or tempfile.mkdtemp(prefix='postern-')
        os.chmod(self.folder, 0o755)
        self.config_file = os.path.join(self.folder, 'postern.conf')
        self.mail_dir = os.path.join(self.folder, 'mail')
        self.log_file = os.path.join(self.folder, 'log')
        self.config = merged({
            'hostname': HOST,
            'state_dir': os.path.join(self.folder, 'state'),
            'runtime_dir': os.path.join(self.folder, 'run'),
            'mailboxes': {'dir': self.mail_dir},
            'postmaster': 'postmaster@example.org',
            'listeners': {name: {'addresses': ['127.0.0.1']} for name in USUAL},
            # Nobody listens there: no test asks the Internet for names, and what is for elsewhere waits.
            'dns': {'servers': ['127.0.0.1:1']},
            'routes': {'nowhere': {'to': ['example.net'], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': 1}},
        }, config or {})
        # Started as root, the roles still run as somebody else.
        if os.getuid() == 0 and 'user' not in self.config:
            self.config['user'] = 'nobody'
            self.config['mailboxes'] = merged({'user': 'nobody', 'group': 'nogroup'}, self.config['mailboxes'])
        self.env = dict(os.environ, **(env or {}))
        self.env.setdefault('ASAN_OPTIONS', 'detect_leaks=0')
        self.args = list(args)
        self.process = None
        self.write_config()
        self.choose_ports()

    def write_config(self):
        with open(self.config_file, 'w') as f:
            json.dump(self.config, f, indent=1)  # JSON is YAML too

    def choose_ports(self):
        ports = {name: listener.get('port', USUAL.get(name))
                 for name, listener in self.config['listeners'].items()}
        self.offset = 0 if self.within else free_offset(ports.values())
        self.port = {name: port + self.offset for name, port in ports.items()}

    def start(self, timeout=PATIENCE):
        self.log = open(self.log_file, 'ab')
        begin = self.log.tell()
        self.process = subprocess.Popen(
            [*(self.within.prefix() if self.within else []), self.binary, 'serve', '-c', self.config_file, '--port-offset', str(self.offset), *self.args],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.env, start_new_session=True)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f'the server ended with status {self.process.returncode}:\n' + self.log_text()[-4000:])
            if 'event=ready' in self.log_text(begin) or '"event":"ready"' in self.log_text(begin):
                return self
            time.sleep(0.02)
        self.stop()
        raise RuntimeError('the server did not become ready:\n' + self.log_text()[-4000:])

    def stop(self, timeout=PATIENCE):
        """Returns the exit status; a server that does not end is killed, and that is an error."""
        p, self.process = self.process, None
        if p is None:
            return None
        p.send_signal(signal.SIGTERM) if p.poll() is None else None
        try:
            return p.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
            raise RuntimeError('the server did not end on SIGTERM:\n' + self.log_text()[-4000:])
        finally:
            self.log.close()

    def close(self):
        try:
            self.stop()
        finally:
            if self.own_folder:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def pids(self):
        """By role: what is there right now."""
        out = collections.defaultdict(list)
        found = subprocess.run(['ps', '-o', 'pid=,args=', '-g', str(self.process.pid)], capture_output=True, text=True)
        for line in found.stdout.splitlines():
            pid, words = line.split(None, 1)
            words = words.split()
            if 'serve' in words:
                out['main'].append(int(pid))
            elif 'role' in words:
                out[words[words.index('role') + 1]].append(int(pid))
        return out

    def cpu_seconds(self, role):
        """Processor time of a role's processes, what is there now: says more of work done than a clock, whatever else runs."""
        ticks = 0
        for pid in self.pids()[role]:
            with open(f'/proc/{pid}/stat') as f:
                ticks += sum(int(n) for n in f.read().rpartition(')')[2].split()[11:13])
        return ticks / os.sysconf('SC_CLK_TCK')

    def heard(self, role, timeout=60):
        """Until each smtp process has read what that role has sent to it so far."""
        def channels(of, to):
            return {(c if of == role else r)['index']: c for r in self.json('status')['roles'] if r['role'] == of
                    for c in r['channels'] if c['role'] == to}
        deadline = time.monotonic() + timeout
        sent = {i: c['sent'] + c['waiting'] for i, c in channels(role, 'smtp').items()}
        while not all(i in got and got[i]['received'] >= n for got in [channels('smtp', role)] for i, n in sent.items()):
            if time.monotonic() > deadline:
                raise AssertionError(f'what {role} said is not heard:\n' + self.log_text()[-3000:])
            time.sleep(0.02)

    def log_text(self, begin=0):
        with open(self.log_file, 'rb') as f:
            f.seek(begin)
            return f.read().decode(errors='replace')

    def wait_log(self, text, timeout=PATIENCE, begin=0):
        """Waits for a text in the log and returns the line that has it."""
        deadline = time.monotonic() + timeout
        while True:
            for line in self.log_text(begin).splitlines():
                if text in line:
                    return line
            if time.monotonic() > deadline:
                raise AssertionError(f'the log never said {text!r}:\n' + self.log_text(begin)[-3000:])
            time.sleep(0.02)

    def cli(self, *args, input=None, check=True):
        """Runs a subcommand against this server; returns the finished process."""
        command, *rest = args
        p = subprocess.run([self.binary, command, *rest], input=input, text=True, capture_output=True,
                           env=dict(self.env, POSTERN_RUNTIME_DIR=self.config['runtime_dir']), timeout=self.patience)
        if check and p.returncode != 0:
            raise RuntimeError(f'postern {" ".join(args)} ended with {p.returncode}: {p.stdout}{p.stderr}')
        return p

    def json(self, *args, input=None):
        return json.loads(self.cli(*args, '--json', input=input).stdout)

    def account(self, address, password):
        self.cli('account', 'add', address, '--password-file', '-', input=password + '\n')

    def mailbox(self, address):
        local, domain = address.rsplit('@', 1)
        return os.path.join(self.mail_dir, domain, local)

    def messages(self, address):
        """The files in the mailbox's new/, oldest first, as bytes."""
        new = os.path.join(self.mailbox(address), 'new')
        try:
            names = sorted(os.listdir(new))
        except FileNotFoundError:
            return []
        out = []
        for name in names:
            with open(os.path.join(new, name), 'rb') as f:
                out.append(f.read())
        return out

    def wait_message(self, address, containing=b'', timeout=PATIENCE):
        """The message in the mailbox that has these bytes, once it is there."""
        deadline = time.monotonic() + timeout
        while True:
            for m in self.messages(address):
                if containing in m:
                    return m
            if time.monotonic() > deadline:
                raise AssertionError(f'no message with {containing!r} in the mailbox of {address}\n' + self.log_text()[-3000:])
            time.sleep(0.02)


