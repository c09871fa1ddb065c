"""A network of hosts, each a network namespace, that is gone afterwards.

    with Net() as net:
        mx = net.host('mx', '192.0.2.25', '2001:db8::25')
        mx.popen(['nc', '-l', '25'])
        with mx.inside():
            socket.create_server(('192.0.2.25', 25))

All hosts hang on one bridge in a namespace of its own and see each other directly,
whatever their addresses; nothing leads out.  Needs root.
"""
import contextlib
import ctypes
import os
import random
import subprocess

import pytest

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def sh(*args, check=True):
    return subprocess.run(args, check=check, capture_output=True, text=True)


def setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), 'setns')


class Host:
    def __init__(self, net, name, addresses):
        self.net, self.name = net, name
        self.ns = net.prefix + name
        self.v4 = [a for a in addresses if ':' not in a]
        self.v6 = [a for a in addresses if ':' in a]
        self.processes = []

    @property
    def address(self):
        return (self.v4 or self.v6)[0]

    def prefix(self):
        """Before a command that is to run there."""
        return ['ip', 'netns', 'exec', self.ns]

    def run(self, *args, check=True):
        return sh(*self.prefix(), *args, check=check)

    def popen(self, args, **more):
        p = subprocess.Popen([*self.prefix(), *args], start_new_session=True, **more)
        self.processes.append(p)
        return p

    @contextlib.contextmanager
    def inside(self):
        """What this thread opens meanwhile is on that host.  Sockets stay there when it is over."""
        with open(f'/proc/self/task/{_gettid()}/ns/net') as home, open('/run/netns/' + self.ns) as there:
            setns(there.fileno())
            try:
                yield self
            finally:
                setns(home.fileno())

    # ---- trouble ----

    def nft(self, *rules):
        """Rules on what this host sends (chain out) and gets (chain in)."""
        text = ('table inet lab {\n chain out { type filter hook output priority 0; }\n'
                ' chain in { type filter hook input priority 0; }\n}\n')
        text += ''.join(f'add rule inet lab {rule}\n' for rule in rules)
        p = subprocess.run([*self.prefix(), 'nft', '-f', '-'], input=text, capture_output=True, text=True)
        assert p.returncode == 0, p.stderr

    def drop(self, port):
        """As a cloud does: connections from here to that port vanish."""
        self.nft(f'out tcp dport {port} drop')

    def refuse(self, port):
        self.nft(f'out tcp dport {port} reject with tcp reset')

    def break_ipv6(self):
        """It has IPv6, and no answer ever comes."""
        self.nft('out meta nfproto ipv6 meta l4proto tcp drop')

    def mend(self):
        self.run('nft', 'delete', 'table', 'inet', 'lab', check=False)

    def stop(self, p, timeout=20):
        if p in self.processes:
            self.processes.remove(p)
        if p.poll() is None:
            p.terminate()
        try:
            p.wait(timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()

    def close(self):
        for p in list(self.processes):
            self.stop(p)


def _gettid():
    return _libc.gettid()


class Net:
    def __init__(self):
        if os.getuid() != 0:
            pytest.skip('only root can make network namespaces')
        self.prefix = f'pst{os.getpid() % 100000}{random.randrange(1000):03}'
        self.hosts = {}
        self.names = []

    def __enter__(self):
        try:
            self.add('br')
            self.ip('br', 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0')
            self.ip('br', 'link', 'set', 'br0', 'up')
        except subprocess.CalledProcessError as e:
            self.close()
            pytest.skip('no network namespaces here: ' + e.stderr.strip())
        return self

    def __exit__(self, *_):
        self.close()

    def add(self, name):
        sh('ip', 'netns', 'add', self.prefix + name)
        self.names.append(name)
        self.ip(name, 'link', 'set', 'lo', 'up')

    def ip(self, name, *args):
        return sh('ip', '-n', self.prefix + name, *args)

    def batch(self, name, *lines):
        """Several lines of ip at once."""
        p = subprocess.run(['ip', '-n', self.prefix + name, '-batch', '-'], input='\n'.join(lines), capture_output=True, text=True)
        assert p.returncode == 0, (lines, p.stderr)

    def host(self, name, *addresses):
        """A host with these addresses; of each family the first is the one that it sends from."""
        h = Host(self, name, addresses)
        self.add(name)
        n = len(self.names)
        self.batch('br', f'link add p{n} type veth peer name eth0 netns {h.ns}', f'link set p{n} master br0 up')
        h.run('sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0', 'net.ipv6.conf.eth0.accept_ra=0')
        # At once: nobody else can have it.
        lines = [f'addr add {a}/128 nodad dev eth0' if ':' in a else f'addr add {a}/32 dev eth0' for a in addresses]
        # Everybody is a neighbour.
        lines += [f'route add default dev eth0 src {a}' for a in [*h.v4[:1], *h.v6[:1]]]
        self.batch(name, 'link set eth0 up', *lines)
        self.hosts[name] = h
        return h

    def close(self):
        for h in self.hosts.values():
            h.close()
        for name in reversed(self.names):
            sh('ip', 'netns', 'del', self.prefix + name, check=False)
        self.names, self.hosts = [], {}
