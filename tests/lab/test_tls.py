"""Which encryption other servers must show: DANE with signed zones, MTA-STS over real HTTPS, and what becomes of mail
where they do not show it.  Each peer says what it saw, so that "never in clear text" is looked for on its side."""
import asyncio
import hashlib
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from aiosmtpd.smtp import SMTP

from peer import Peer as Octets

WEB = '192.0.2.80'


class Peer:
    """A mail server on one host of the lab, with STARTTLS if it is given a certificate."""

    def __init__(self, host, pem, folder):
        self.host, self.messages, self.commands = host, [], 0
        context = None
        if pem:
            self.file = os.path.join(folder, host.name + '.pem')
            with open(self.file, 'w') as f:
                f.write(''.join(pem))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.file)
        with host.inside():
            listening = socket.create_server((host.address, 25))
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.loop.create_server(lambda: SMTP(self, tls_context=context), sock=listening))
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def handle_MAIL(self, server, session, envelope, address, options):
        self.commands += 1
        envelope.mail_from = address
        return '250 2.1.0 OK'

    async def handle_DATA(self, server, session, envelope):
        self.messages.append(session.ssl is not None)  # encrypted?
        return '250 2.0.0 taken'

    def spki(self):
        key = subprocess.run(['openssl', 'x509', '-in', self.file, '-noout', '-pubkey'], check=True, capture_output=True).stdout
        der = subprocess.run(['openssl', 'pkey', '-pubin', '-outform', 'DER'], input=key, check=True, capture_output=True).stdout
        return hashlib.sha256(der).hexdigest()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class Web:
    """The policies of all domains, each at the host mta-sts.DOMAIN; asked: which were asked for."""

    def __init__(self, host, pem, folder):
        self.policies, self.asked = {}, []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.headers['Host'].split(':')[0]
                web.asked.append(name)
                body = web.policies.get(name, '') if self.path == '/.well-known/mta-sts.txt' else ''
                self.send_response(200 if body else 404)
                self.send_header('Content-Type', 'text/plain')
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        file = os.path.join(folder, 'web.pem')
        with open(file, 'w') as f:
            f.write(''.join(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        with host.inside():
            self.server = HTTPServer((WEB, 443), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def policy(mode, *mx):
    return f'version: STSv1\nmode: {mode}\nmax_age: 86400\n' + ''.join(f'mx: {m}\n' for m in mx)


# domain: names of the certificate (None: no STARTTLS), zone, TLSA (right, wrong), policy, web host's certificate is for it
DOMAINS = {
    'plain.test': (['other.test'], 'unsigned', None, None),
    'clear.test': (None, 'unsigned', None, None),
    'dane.test': (['nobody.test'], 'signed', 'right', None),
    'dane-wrong.test': (['mx.dane-wrong.test'], 'signed', 'wrong', None),
    'dane-clear.test': (None, 'signed', 'wrong', None),
    'dane-and-sts.test': (['nobody.test'], 'signed', 'right', policy('enforce', 'mx.elsewhere.test')),
    'sts.test': (['mx.sts.test'], 'unsigned', None, policy('enforce', 'mx.sts.test')),
    'sts-name.test': (['other.test'], 'unsigned', None, policy('enforce', '*.sts-name.test')),
    'sts-unlisted.test': (['mx.sts-unlisted.test'], 'unsigned', None, policy('enforce', 'mx2.sts-unlisted.test')),
    'sts-clear.test': (None, 'unsigned', None, policy('enforce', 'mx.sts-clear.test')),
    'sts-testing.test': (['other.test'], 'unsigned', None, policy('testing', 'mx.sts-testing.test')),
    'sts-broken.test': (['other.test'], 'unsigned', None, 'no policy'),
    'sts-untrusted.test': (['other.test'], 'unsigned', None, policy('enforce', 'mx.sts-untrusted.test')),
}
# What becomes of mail: how it went, or a part of why it waits; and what is noted, as (policy, result).
OUTCOMES = {
    'plain.test': ('encrypted', ('no-policy-found', 'ok')),
    'clear.test': ('clear', ('no-policy-found', 'starttls-not-supported')),
    'dane.test': ('encrypted', ('tlsa', 'ok')),
    'dane-wrong.test': ('TLSA', ('tlsa', 'tlsa-invalid')),
    'dane-clear.test': ('STARTTLS', ('tlsa', 'starttls-not-supported')),
    'dane-and-sts.test': ('encrypted', ('tlsa', 'ok')),
    'sts.test': ('encrypted', ('sts', 'ok')),
    'sts-name.test': ('is not for mx.sts-name.test', ('sts', 'certificate-host-mismatch')),
    'sts-unlisted.test': ('does not list', ('sts', 'validation-failure')),
    'sts-clear.test': ('STARTTLS', ('sts', 'starttls-not-supported')),
    'sts-testing.test': ('encrypted', ('sts', 'certificate-host-mismatch')),
    'sts-broken.test': ('encrypted', ('sts', 'sts-policy-invalid')),
    'sts-untrusted.test': ('encrypted', ('sts', 'sts-webpki-invalid')),
}

# They offer REQUIRETLS; with a policy, or without.
REQUIRE = {
    'rq.test': policy('enforce', 'mx.rq.test'),
    'rq-testing.test': policy('testing', 'mx.rq-testing.test'),
    'rq-none.test': '',
}


@pytest.fixture(scope='module')
def world(lab):
    lab.peers = {}
    web = Web(lab.net.host('web', WEB),
              lab.certificate('web.test', *('mta-sts.' + d for d in [*DOMAINS, *REQUIRE] if d != 'sts-untrusted.test')), lab.folder)
    lab.stack.callback(web.close)
    for i, (domain, (names, kind, tlsa, text)) in enumerate(DOMAINS.items()):
        host = lab.net.host(f'h{i}', f'192.0.2.{100 + i}')
        peer = lab.peers[domain] = Peer(host, lab.certificate(*names) if names else None, lab.folder)
        lab.stack.callback(peer.close)
        more = {}
        if tlsa:
            more['_25._tcp.mx'] = ['TLSA 3 1 1 ' + (peer.spki() if tlsa == 'right' else '00' * 32)]
        if text:
            more.update({'_mta-sts': ['TXT "v=STSv1; id=1;"'], 'mta-sts': [f'A {WEB}']})
            web.policies['mta-sts.' + domain] = text
        lab.zone(domain, [host], kind, more)
    lab.web = web
    for i, (domain, text) in enumerate(REQUIRE.items()):
        host = lab.net.host(f'r{i}', f'192.0.2.{150 + i}')
        peer = lab.peers[domain] = lab.stack.enter_context(Octets(host, 25, lab.certificate('mx.' + domain), requiretls=True))
        more = {'_mta-sts': ['TXT "v=STSv1; id=1;"'], 'mta-sts': [f'A {WEB}']} if text else {}
        web.policies['mta-sts.' + domain] = text
        lab.zone(domain, [host], 'unsigned', more)
    lab.start_dns()
    lab.start_server({'relay': {'ca_file': lab.ca}, 'smtp_processes': 1})
    for domain in DOMAINS:
        lab.submit('ann@ours.test', [f'bob@{domain}'], f'From: ann@ours.test\r\nTo: bob@{domain}\r\nSubject: x\r\n\r\nx\r\n')
    return lab


@pytest.mark.parametrize('domain', DOMAINS)
def test_mail_goes_as_it_must(world, domain):
    wanted, _ = OUTCOMES[domain]
    peer, deadline = world.peers[domain], time.monotonic() + 120
    if wanted in ('encrypted', 'clear'):
        while not peer.messages:
            assert time.monotonic() < deadline, world.server.log_text()[-3000:]
            time.sleep(0.05)
        assert peer.messages == [wanted == 'encrypted']
        return
    while True:
        seen = world.server.cli('trace', f'bob@{domain}').stdout
        if wanted in ' '.join(seen.split()):
            break
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
    assert not peer.messages and not peer.commands


def test_policies_are_asked_for_once(world):
    for domain, (_, _, _, text) in DOMAINS.items():
        if text and domain != 'sts-untrusted.test':
            assert world.web.asked.count('mta-sts.' + domain) == 1


def test_results_are_kept(world):
    """For the reports of TLSRPT, by domain and policy."""
    deadline = time.monotonic() + 120
    while True:
        known = {(d['domain'], d['policy'], r['result']): r for d in world.server.json('tls')['domains'] for r in d['results']}
        lacking = {d: v for d, (_, v) in OUTCOMES.items() if (d, *v) not in known}
        if not lacking:
            break
        assert time.monotonic() < deadline, (lacking, known)
        time.sleep(0.2)
    host = known['dane-wrong.test', 'tlsa', 'tlsa-invalid']
    assert host['host'] == 'mx.dane-wrong.test' and host['ip'] == world.peers['dane-wrong.test'].host.address and host['text']


def test_results_are_listed(world):
    every = world.server.cli('tls').stdout
    assert max(len(line) for line in every.splitlines()) < 80
    assert re.search(r'^plain\.test +no-policy-found +\d+ +0$', every, re.M), every
    assert re.search(r'^dane-wrong\.test +tlsa +0 +\d+\n +\d+ tlsa-invalid at mx\.dane-wrong\.test \[192', every, re.M), every
    failures = world.server.cli('tls', '--failures', '--days', '1').stdout
    assert 'dane-wrong.test' in failures and 'plain.test' not in failures
    one = world.server.json('tls', 'Dane.Test.')
    assert [(d['domain'], d['policy'], d['failed']) for d in one['domains']] == [('dane.test', 'tlsa', 0)]
    assert one['domains'][0]['successful'] == sum(r['count'] for r in one['domains'][0]['results']) > 0


def test_the_sender_may_prefer_delivery(world):
    """TLS-Required: No (RFC 8689): the policies of the recipient's domain stop it no more."""
    for domain in ('sts-name.test', 'dane-wrong.test', 'sts-clear.test'):
        world.submit('ann@ours.test', [f'carol@{domain}'],
                     f'From: ann@ours.test\r\nTo: carol@{domain}\r\nTLS-Required: No\r\nSubject: y\r\n\r\ny\r\n')
        deadline = time.monotonic() + 120
        while not world.peers[domain].messages:
            assert time.monotonic() < deadline, world.server.cli('trace', f'carol@{domain}').stdout
            time.sleep(0.05)


def require(world, to):
    begin = os.path.getsize(world.server.log_file)
    world.submit('ann@ours.test', [to], f'From: ann@ours.test\r\nTo: {to}\r\nSubject: rq\r\n\r\nthe body of it\r\n', options=['REQUIRETLS'])
    return re.search(r'\bid=(\w+)', world.server.wait_log('event=accepted', begin=begin)).group(1)


@pytest.mark.parametrize('domain', ['rq.test', 'rq-testing.test'])
def test_requiretls_by_mta_sts(world, domain):
    """A policy names the server as well as a signature does, and its certificate is right: RFC 8689 4.2.1."""
    require(world, f'eve@{domain}')
    session = world.peers[domain].wait(f'eve@{domain}')[3]
    assert session.tls and [line for line in session.lines if line.startswith('MAIL FROM:<ann@ours.test>') and ' REQUIRETLS' in line]
    assert b'MAIL' not in world.peers[domain].clear


def test_requiretls_where_nothing_proves_the_server(world):
    """It waits; other mail goes there."""
    ident = require(world, 'eve@rq-none.test')
    assert world.why(ident, 'not proven')['status'] == '4.7.5'
    assert not world.peers['rq-none.test'].mail
    world.server.cli('queue', 'remove', ident)


def test_requiretls_that_the_server_lacks(world):
    """It fails, and the report brings its header back, not its text: RFC 8689 5."""
    require(world, 'eve@sts.test')
    report = world.server.wait_message('ann@ours.test', b'eve@sts.test', 60)
    assert b'Status: 5.7.30' in report and b'Subject: rq' in report and b'the body of it' not in report


def test_policies_outlive_a_restart(world):
    """Their records are gone by then, and the web server, too: what is known holds."""
    world.web.policies.clear()
    asked = len(world.web.asked)
    with world.dns.inside():
        world.zones.change('sts-name.test', {k: v for k, v in world.zones.zones['sts-name.test'].records.items() if 'sts' not in k})
    pid, = world.server.pids()['smtp']
    begin = os.path.getsize(world.server.log_file)
    os.kill(pid, signal.SIGKILL)
    world.server.wait_log('event=role-died role=smtp', 60, begin)
    world.server.wait_log('role=smtp/0 event=listening', 60, begin)
    before = world.peers['sts-name.test'].messages[:]
    world.submit('ann@ours.test', ['dave@sts-name.test'], 'From: ann@ours.test\r\nTo: dave@sts-name.test\r\nSubject: z\r\n\r\nz\r\n')
    deadline = time.monotonic() + 120
    while 'is not for mx.sts-name.test' not in ' '.join(world.server.cli('trace', 'dave@sts-name.test').stdout.split()):
        assert time.monotonic() < deadline, world.server.cli('trace', 'dave@sts-name.test').stdout
        time.sleep(0.2)
    assert world.peers['sts-name.test'].messages == before and len(world.web.asked) == asked
