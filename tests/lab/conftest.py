"""The lab: a network of its own for each module, with a name server, mail servers of others, and ours."""
import contextlib
import json
import os
import re
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from net import Net  # noqa: E402
from zones import Zones, unpacked  # noqa: E402

US, DNS = '192.0.2.1', '192.0.2.53'


class Lab:
    """Hosts by name, their zones, and a Postern at mx.ours.test, 192.0.2.1."""

    def __init__(self, net, make_server, folder):
        self.net, self.make_server, self.folder = net, make_server, folder
        os.chmod(folder, 0o755)
        self.dns = net.host('dns', DNS, '2001:db8::53')
        self.us = net.host('us', US, '2001:db8::1', '192.0.2.2')
        self.zones = Zones(DNS, port=53)
        self.zones.add('ours.test', {'@': ['MX 10 mx'], 'mx': [f'A {US}', 'AAAA 2001:db8::1']})
        self.stack = contextlib.ExitStack()
        self.server = None

    def zone(self, domain, hosts, kind='signed', more=None):
        """hosts: of the lab, in the order of their preference."""
        records = {'@': []}
        for i, h in enumerate(hosts):
            name = f'mx{i + 1}' if i else 'mx'
            records['@'].append(f'MX {10 * (i + 1)} {name}')
            records[name] = [f'A {a}' for a in h.v4] + [f'AAAA {a}' for a in h.v6]
        self.zones.add(domain, {**records, **(more or {})}, kind)

    def change(self, domain, more):
        """Its zone, with these records over what it had."""
        with self.dns.inside():
            self.zones.change(domain, {**self.zones.zones[domain].records, **more})

    def start_dns(self):
        unpacked()  # from outside: nothing leads out of the lab
        with self.dns.inside():
            self.stack.enter_context(self.zones)

    def start_server(self, config=None):
        listeners = {name: {'addresses': ['0.0.0.0', '::']} for name in ('relay', 'submissions', 'submission', 'fallback')}
        base = {'hostname': 'mx.ours.test', 'postmaster': 'postmaster@ours.test', 'listeners': listeners, **self.zones.config()}
        base['dns'] = {**base['dns'], 'timeout': '60s'}
        self.server = self.stack.enter_context(self.make_server({**base, **(config or {})}, within=self.us))
        self.server.cli('domain', 'add', 'ours.test')
        for name in ('ann', 'bob', 'postmaster'):
            self.server.account(f'{name}@ours.test', 'correct horse')
        return self.server

    def submit(self, sender, to, message, user=None, options=()):
        """As an account of ours does: 587, STARTTLS, AUTH."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with self.us.inside(), smtplib.SMTP(US, 587, timeout=120) as s:
            s.starttls(context=context)
            s.login(user or sender, 'correct horse')
            return s.sendmail(sender, to, message, options)

    def send(self, to, subject='x'):
        """Ann sends a message; the queue's id of it."""
        message = f'From: ann@ours.test\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhello\r\n'
        begin = os.path.getsize(self.server.log_file)
        self.submit('ann@ours.test', [to], message)
        return re.search(r'\bid=(\w+)', self.server.wait_log('event=accepted', begin=begin)).group(1)

    def until(self, holds, timeout=60):
        """Waits until it holds."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, self.server.log_text()[-3000:]
            time.sleep(0.1)

    def why(self, ident, words='', timeout=60):
        """Why its first recipient waits (a dict of `queue show`), once the reason has these words."""
        deadline = time.monotonic() + timeout
        while True:
            p = self.server.cli('queue', 'show', ident, '--json', check=False)
            row = json.loads(p.stdout)['to'][0] if p.returncode == 0 else {}
            if 'reason' in row and words in row['reason']:
                return row
            assert time.monotonic() < deadline, (words, row, self.server.log_text()[-3000:])
            time.sleep(0.1)

    def gone(self, ident, timeout=60):
        """Waits until the queue has it no more."""
        deadline = time.monotonic() + timeout
        while self.server.cli('queue', 'show', ident, check=False).returncode == 0:
            assert time.monotonic() < deadline, (self.server.json('queue', 'show', ident), self.server.log_text()[-3000:])
            time.sleep(0.1)

    def retried(self, ident, timeout=60):
        """Asks for it to be tried now, again and again, until the queue has it no more."""
        deadline = time.monotonic() + timeout
        while self.server.cli('queue', 'retry', ident, check=False).returncode == 0:
            assert time.monotonic() < deadline, (self.server.json('queue', 'show', ident), self.server.log_text()[-3000:])
            time.sleep(1)

    def wait_sessions(self, peer, n, timeout=60):
        self.until(lambda: len(peer.sessions) >= n, timeout)

    def events(self, ident, kind=None):
        """Its life, as `postern trace` tells it."""
        found = self.server.json('trace', ident)['messages']
        return [e for m in found for e in m['events'] if kind in (None, e['kind'])]

    def wait_events(self, ident, kind, n=1, timeout=60):
        deadline = time.monotonic() + timeout
        while len(self.events(ident, kind)) < n:
            assert time.monotonic() < deadline, (self.events(ident), self.server.log_text()[-3000:])
            time.sleep(0.1)
        return self.events(ident, kind)

    def certificate(self, *names, days=2, by='the authority of the lab', key='rsa:2048'):
        """(PEM of the certificate, PEM of its key) of the lab's own authority, whose file is lab.ca, or of one that nobody
        trusts.  by='': of itself; days=-1: until yesterday."""
        return make_certificate(self.folder, names, days, by, key)

    @property
    def ca(self):
        return os.path.join(self.folder, 'ca.pem')

    def close(self):
        self.stack.close()


def openssl(folder, *args):
    subprocess.run(['openssl', *args], cwd=folder, check=True, capture_output=True)


def make_certificate(folder, names, days=2, by='the authority of the lab', key='rsa:2048'):
    ca = 'ca' if by == 'the authority of the lab' else re.sub(r'\W', '-', by)
    if by and not os.path.exists(os.path.join(folder, ca + '.pem')):
        openssl(folder, 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', ca + '.key', '-out', ca + '.pem', '-days', '2',
                '-subj', '/CN=' + by, '-addext', 'basicConstraints=critical,CA:TRUE')
    curve = ['-pkeyopt', 'ec_paramgen_curve:P-256'] if key == 'ec' else []
    openssl(folder, 'req', '-newkey', key, *curve, '-nodes', '-keyout', 'k.pem', '-out', 'r.pem', '-subj', '/CN=' + names[0])
    with open(os.path.join(folder, 'ext'), 'w') as f:
        f.write('subjectAltName=' + ','.join('DNS:' + n for n in names) + '\n')
    issuer = ['-CA', ca + '.pem', '-CAkey', ca + '.key', '-CAcreateserial'] if by else ['-signkey', 'k.pem']
    openssl(folder, 'x509', '-req', '-in', 'r.pem', *issuer, '-days', str(days), '-extfile', 'ext', '-out', 'c.pem')
    out = []
    for name in ('c.pem', 'k.pem'):
        with open(os.path.join(folder, name)) as f:
            out.append(f.read())
    return tuple(out)


@pytest.fixture(scope='module')
def lab(make_server):
    # Not of tmp_path_factory: the users that the roles run as read the authority's certificate there.
    with Net() as net, tempfile.TemporaryDirectory(prefix='lab-') as folder:
        one = Lab(net, make_server, folder)
        try:
            yield one
        finally:
            one.close()
