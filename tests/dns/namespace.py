"""What test_dns.py runs in a network namespace of its own: namespace.py CASE DNS-ASK.

The answers of dns-ask, as it prints them. The network has a way out where everything is lost, so that
what nobody takes times out as it does on a network that drops it.
"""
import atexit
import os
import subprocess
import sys
import tempfile

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TESTS, os.path.join(os.path.dirname(TESTS), 'scripts')]

from zones import Zones  # noqa: E402

# a.root-servers.net to m.root-servers.net
ROOTS = ('198.41.0.4', '170.247.170.2', '199.9.14.201', '192.33.4.12', '199.7.91.13', '192.203.230.10', '192.5.5.241',
         '192.112.36.4', '198.97.190.53', '192.36.148.17', '192.58.128.30', '193.0.14.129', '199.7.83.42', '202.12.27.33')


def ip(*words):
    subprocess.run(['ip', *words], check=True)


def ask(program, lines, *args):
    env = dict(os.environ, ASAN_OPTIONS='detect_leaks=0')
    p = subprocess.run([program, *args], input='\n'.join(lines) + '\n', text=True, stdout=subprocess.PIPE, timeout=100, env=env)
    print(p.stdout, end='')
    return p.returncode


def resolv_conf(*servers):
    f = tempfile.NamedTemporaryFile('w', suffix='.conf', delete=False)
    f.writelines(f'nameserver {s}\n' for s in servers)
    f.close()
    atexit.register(os.unlink, f.name)
    return f.name


def world():
    z = Zones(address=ROOTS[0], more=ROOTS[1:], top='', port=53)
    z.add('example', {})
    z.add('a.example', {'@': ['MX 10 mx'], 'mx': ['A 192.0.2.1'], 'out': ['CNAME mx.b.example.']})
    z.add('b.example', {'mx': ['A 192.0.2.2']}, kind='unsigned')
    z.add('bad.example', {'@': ['MX 10 mx']}, kind='bogus')
    return z


def recursion(program):
    """The root servers answer: they are asked, though resolv.conf names a server."""
    for root in ROOTS:
        ip('addr', 'add', root + '/32', 'dev', 'lo')
    with world() as z:
        return ask(program, ['MX a.example', 'A mx.b.example', 'A out.a.example', 'MX bad.example', 'MX none.example',
                             'status'], '-a', z.anchors, '-r', resolv_conf('127.0.0.1'))


def local():
    return Zones(port=53).add('a.test', {'@': ['MX 10 mx']}).add('bad.test', {'@': ['MX 10 mx']}, kind='bogus')


def blocked(program):
    """Only the server of resolv.conf answers, and it passes signatures on."""
    with local() as z:
        return ask(program, ['MX a.test', 'MX bad.test', 'status'], '-a', z.anchors, '-r', resolv_conf('127.0.0.1'), '-w')


def stripped(program):
    """It does not: to the anchor that we have it knows no signatures."""
    with local() as z, open(os.path.join(z.folder, 'other'), 'w') as f:
        f.write('test. IN DS 1 13 2 ' + '00' * 32 + '\n')
        f.flush()
        return ask(program, ['MX a.test', 'status'], '-a', f.name, '-r', resolv_conf('127.0.0.1'))


def stripped_strict(program):
    with local() as z, open(os.path.join(z.folder, 'other'), 'w') as f:
        f.write('test. IN DS 1 13 2 ' + '00' * 32 + '\n')
        f.flush()
        return ask(program, ['MX a.test', 'status'], '-a', f.name, '-r', resolv_conf('127.0.0.1'), '-v', 'yes')


def down(program):
    """Nobody answers."""
    return ask(program, ['MX a.example', 'status'], '-a', '/usr/share/dns/root.key', '-r', resolv_conf('192.0.2.53'), '-t', '14000')


if __name__ == '__main__':
    ip('link', 'set', 'lo', 'up')
    ip('link', 'add', 'lost', 'type', 'veth', 'peer', 'name', 'nobody')
    ip('addr', 'add', '192.0.2.99/24', 'dev', 'lost')
    for name in ('lost', 'nobody'):
        ip('link', 'set', name, 'arp', 'off', 'up')
    ip('route', 'add', 'default', 'dev', 'lost')
    sys.exit({f.__name__: f for f in (recursion, blocked, stripped, stripped_strict, down)}[sys.argv[1]](sys.argv[2]))
