"""postern check in a network of its own: each state of a firewall made real, each fault of a server, and the findings
and the port to use that must come of it.  A row a case; all rows run at once, each from a client of its own.

A row: name, what is looked at, what stands between, what must be said, the answer.

looked at   arguments of `postern check`; in FOUR a name of each of the four servers
between     "465 drop", "587/6 strip": by the gate on the way (walls.py says what there is); "here ...": a rule of the client's
            own output; "in ...": of its own input; "there ...": the server's own firewall; "no ipv6", "no network", "no leave" (a
            route that forbids), "no gate" (the servers are on its own network), "no gate that soon" (and it is long
            until an address counts as nobody's)
said        codes of findings by port, or "all": those must be there.  No other alarm may be.
answer      "use 465", "pin 465" (the certificate is wrong), "nothing"; "well", "ill": the exit status alone
"""
import concurrent.futures
import hashlib
import json
import os
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import warnings

import pytest

import submission
from conftest import DNS
from peer import Peer, context_of, tlsa
from walls import Gate, rule
from web import Web

WEB = '192.0.2.40'
PATIENCE = 10  # in seconds: of those who look, with whatever does not answer

# ---- the four servers ----

SERVERS = ['postern', *submission.KINDS]
FOUR = [
    ('as it is', 'mx', '', '25 open, 465 tls, 465 auth, 587 tls, 587 auth', 'use 465'),
    ('465 dropped', 'mx', '465 drop', '465 filtered', 'use 587'),
    ('465 rejected', 'mx', '465 reject', '465 refused', 'use 587'),
    ('465 reset', 'mx', '465 reset', '465 refused', 'use 587'),
    ('cut after the greeting', 'mx', '587 cut', '587 reset-after-connect', 'use 465'),
    ('STARTTLS stripped', 'mx', '587 strip', '587 no-starttls', 'use 465'),
    ('STARTTLS stripped over IPv4', 'mx', '587/4 strip', '587 no-starttls, 587 intercepted', 'use 465'),
    ('STARTTLS masked', 'mx', '587 mask', '587 starttls-masked', 'use 465'),
    ('greeting rewritten', 'mx', '587 stars', '587 greeting-masked', 'use 465'),
    ('nothing is left but 587, stripped', 'mx', '465 drop, 587 strip, 2525 drop', '465 filtered, 587 no-starttls', 'nothing'),
    ('wrong name', 'other', '', '465 certificate-name, 587 certificate-name', 'pin 465'),
    ('expired', 'expired', '', '465 certificate-expired, 587 certificate-expired', 'pin 465'),
    ('self-signed', 'selfsigned', '', '465 certificate-self-signed, 587 certificate-self-signed', 'pin 465'),
    ('25 dropped', 'mx', '25 drop', '25 filtered', 'use 465'),
]

# ---- hosts that do as they are told ----

# What stands at which port: "tls" and "starttls" with a right certificate, "clear"; more words make it otherwise; behind
# a bar what it answers to a verb.  "says" is no mail server: it says that; "answers" says it to whatever it is sent; "-tls": in TLS.
PLAIN = {25: 'starttls', 465: 'tls', 587: 'starttls'}
HOSTS = {
    'good': {**PLAIN, 2525: 'starttls'},
    'only587': {587: 'starttls'},
    'wrongname': {465: 'tls othername', 587: 'starttls othername'},
    'selfsigned': {465: 'tls selfsigned'},
    'expired': {465: 'tls expired', 587: 'starttls'},
    'stripped': {587: 'clear'},
    'odd': {465: 'starttls', 587: 'tls'},
    'fallback': {2525: 'starttls'},
    'noauth': {25: 'starttls', 465: 'tls noauth'},
    'inclear': {25: 'starttls', 587: 'starttls authinclear'},
    'taking': {587: 'starttls takes'},
    'relaying': {25: 'starttls noauth'},
    'closed': {25: 'starttls | RCPT=554 5.7.1 no'},
    'noptr': {25: 'starttls'},
    'wrongptr': {25: 'starttls'},
    'nosts': {25: 'starttls'},
    'busy': {465: 'tls', 587: 'starttls | GREETING=421 4.3.2 too busy', 25: 'starttls | GREETING=554 5.7.1 blocked'},
    'refuses': {587: 'starttls | STARTTLS=454 4.7.0 not now', 465: 'tls'},
    'slow': {587: 'starttls | GREETING=wait', 465: 'tls | EHLO=wait'},
    'imap': {587: 'says * OK [CAPABILITY IMAP4rev1] ready\r\n', 465: 'says +OK POP3 ready\r\n'},
    'http': {587: 'answers HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', 465: 'says SSH-2.0-OpenSSH_9.2p1\r\n'},
    'two': PLAIN,
    'tlsother': {465: 'answers-tls HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', 993: 'says-tls * OK IMAP4rev1 ready\r\n',
                 995: 'says-tls +OK POP3 ready\r\n', 443: 'answers-tls HTTP/1.1 400 Bad Request\r\n\r\n'},
    # Of others, elsewhere.
    'far': {25: 'starttls', 465: 'tls', 587: 'starttls'},
    'away': {25: 'starttls', 465: 'tls', 587: 'starttls'},
    'gmail': {465: 'tls', 587: 'starttls'},
    'corp': {465: 'tls', 587: 'starttls'},
}
NAMES = {'gmail': 'smtp.gmail.com'}  # else mx.NAME.test
UNSIGNED = ['far', 'away', 'gmail', 'corp', 'selfsigned', 'expired']  # the others' zones have TLSA records of the right certificate
TWO = '192.0.2.50'  # another address of that host
ONLY_IPV4 = {'far': '198.51.100.25', 'away': '203.0.113.25', 'gmail': '203.0.113.30'}

ROWS = [
    ('good', 'mx.good.test', '', '465 tls, 587 tls, 25 tls, 465 dane', 'use 465'),
    ('only one', 'mx.only587.test', '', '465 refused, 25 refused', 'use 587'),
    ('wrong name', 'mx.wrongname.test', '', '465 certificate-name, 465 dane-mismatch', 'pin 465'),
    ('takes mail of anybody', 'mx.taking.test', '', '587 takes-mail-without-auth', 'use 587'),
    ('self-signed', 'mx.selfsigned.test', '', '465 certificate-self-signed', 'pin 465'),
    ('expired on one', 'mx.expired.test', '', '465 certificate-expired', 'use 587'),
    ('clear text', 'mx.stripped.test', '', '587 no-starttls', 'nothing'),
    ('the other way round', 'mx.odd.test', '', '465 tls-unusual, 587 tls-unusual', 'use 465'),
    ('2525 when there is nothing else', 'mx.fallback.test', 'there 465 drop, there 587 drop', '465 filtered, 587 filtered', 'use 2525'),
    ('nobody can log in', 'mx.noauth.test', '', '465 no-auth', 'nothing'),
    ('passwords in clear', 'mx.inclear.test', '', '587 auth-in-clear', 'use 587'),
    ('passwords in clear and no TLS', 'mx.inclear.test', '587 strip', '587 auth-in-clear, 587 no-starttls', 'nothing'),
    ('STARTTLS refused', 'mx.refuses.test', '', '587 starttls-refused', 'use 465'),
    ('greets with 421 and 554', 'mx.busy.test', '', '587 greeting-deferred, 25 greeting-refused', 'use 465'),
    ('slow to greet, slow after EHLO', 'mx.slow.test --timeout 30 -4', '', '587 slow, 465 slow', 'use 465'),
    ('IMAP and POP3', 'mx.imap.test', '', '587 not-smtp, 465 not-smtp', 'nothing'),
    ('HTTP and SSH', 'mx.http.test', '', '587 not-smtp, 465 not-smtp', 'nothing'),
    ('in TLS: HTTP, IMAP and POP3', 'mx.tlsother.test -p 465,993,995,443', '', '465 not-smtp, 993 not-smtp, 995 not-smtp, 443 not-smtp', 'nothing'),
    # The server's own firewall, and one on the way.
    ('there dropped', 'mx.good.test', 'there 465 drop', '465 filtered', 'use 587'),
    ('there reset', 'mx.good.test', 'there 465 reset', '465 refused', 'use 587'),
    ('there rejected', 'mx.good.test', 'there 465 reject', '465 refused', 'use 587'),
    ('there forbidden', 'mx.good.test', 'there 465 prohibit', '465 prohibited', 'use 587'),
    ('there unreachable', 'mx.good.test', 'there 465 unreach', '465 unreachable', 'use 587'),
    ('forbidden on the way', 'mx.good.test', '465 prohibit', '465 prohibited', 'use 587'),
    ('closed at once', 'mx.good.test', '587 close', '587 closed-after-connect', 'use 465'),
    ('cut at the first octet of TLS', 'mx.good.test', '465 cut-hello', '465 reset-after-connect', 'use 587'),
    ('taken, and then silence', 'mx.good.test', '465 hang', '465 silent', 'use 587'),
    # The client's own.
    ('dropped here', 'mx.good.test', 'here 465 drop', '465 local-rule', 'use 587'),
    ('reset here', 'mx.good.test', 'here 465 reset', '465 local-rule', 'use 587'),
    ('rejected here', 'mx.good.test', 'here 465 reject', '465 local-rule', 'use 587'),
    ('forbidden here', 'mx.good.test', 'here 465 prohibit', '465 local-rule', 'use 587'),
    ('forbidden here by a route', 'mx.good.test', 'no leave', '465 local-rule', 'nothing'),
    ('answers dropped here', 'mx.good.test', 'in 465 drop', '465 filtered', 'use 587'),
    ('25 dropped here', '--host mx.good.test mx.far.test', 'here 25 drop', '25 local-rule', 'use 465'),
    # The network.
    ('25 dropped for all', '--host mx.good.test mx.far.test', '25 drop', '25 filtered, all port-25-blocked', 'use 465'),
    ('25 dropped for the four and one more', '--host ' + ' '.join(f'mx.{s}.test' for s in SERVERS) + ' mx.far.test', '25 drop',
     '25 filtered, all port-25-blocked', 'use 465'),
    ('25 dropped for one', '--host mx.good.test mx.far.test', 'there 25 drop', '25 filtered', 'use 465'),
    ('IPv6 leads nowhere', 'mx.good.test', '25/6 drop, 465/6 drop, 587/6 drop, 2525/6 drop', 'all ipv6-broken', 'use 465'),
    ('no IPv6', 'mx.good.test', 'no ipv6', '465 no-route', 'use 465'),
    ('no IPv6, expectations', '-e 587:starttls,cert mx.good.test', 'no ipv6', '587 no-route', 'well'),
    ('no IPv6, MX', '--mx good.test', 'no ipv6', '25 no-route', 'well'),
    ('no network', 'mx.good.test', 'here 1-65535 drop', 'all no-network', 'nothing'),
    ('no way there', 'mx.good.test', 'no network', '465 unreachable', 'nothing'),
    ('nobody has the address', 'mx.gone.test --timeout 30', 'no gate', '465 unreachable', 'nothing'),
    ('nobody has the address, and that is not known yet', 'mx.gone.test --timeout 2', 'no gate that soon', '465 filtered', 'nothing'),
    ('nobody has the address, says the router', 'mx.gone.test --timeout 30', '', '465 unreachable', 'nothing'),
    # Somebody in between.
    ('masked over IPv6', 'mx.good.test', '587/6 mask', '587 starttls-masked, 587 intercepted', 'use 465'),
    ('rewritten over IPv6', 'mx.good.test', '587/6 stars', '587 greeting-masked, 587 intercepted', 'use 465'),
    ('stripped at one address of three', 'mx.two.test', f'587/{TWO} strip', '587 no-starttls, 587 intercepted', 'use 465'),
    ('one answer for all', '--host mx.far.test mx.away.test', '25 isp', '25 intercepted', 'use 465'),
    ('one certificate for all', '--host mx.far.test mx.away.test', '465 ca465, 587 ca587', '465 intercepted, 587 intercepted', 'nothing'),
    ('TLS opened by a firewall', 'mx.corp.test', '465 fw465, 587 fw587', '465 intercepted, 587 intercepted', 'nothing'),
    ('TLS of a known provider opened', 'smtp.gmail.com', '465 ca465', '465 intercepted', 'use 587'),
    ('another server over IPv6', 'mx.good.test', '587/6 other587', '587 differs', 'use 465'),
    # As another server would.
    ('MX', '--mx good.test', '', '25 tls, 25 dane, 25 mta-sts', 'well'),
    ('MX without a name', '--mx noptr.test', '', '25 no-ptr', 'well'),
    ('MX with a name that leads elsewhere', '--mx wrongptr.test', '', '25 ptr-mismatch, 25 ehlo-name', 'well'),
    ('MX against the policy', '--mx nosts.test', '', '25 mta-sts-mismatch', 'ill'),
    ('MX of an open relay', '--relay-test -p 25 mx.relaying.test', '', '25 open-relay', 'nothing'),
    ('MX that relays for nobody', '--relay-test -p 25 mx.closed.test', '', '25 no-open-relay', 'nothing'),
    # Of a domain, and where the hosts come from.
    ('by SRV', 'ann@srv.test', '', '465 tls', 'use 465'),
    ('by autoconfig', 'ann@auto.test', '', '587 tls', 'use 587'),
    ('by provider', 'ann@gmail.com', '', '465 tls', 'use 587'),
]
FROM = {  # of rows: (host, where it comes from)
    'by SRV': ('mx.good.test', 'SRV _submissions._tcp.srv.test, port 465'),
    'by autoconfig': ('mx.only587.test', 'autoconfig of autoconfig.auto.test'),
    'by provider': ('smtp.gmail.com', 'known: Gmail and Google Workspace'),
    'MX': ('mx.good.test', 'MX 10 of good.test'),
}
WORDS = {  # of rows: what a finding says
    'slow to greet, slow after EHLO': {(587, 'slow'): 'greeting took ', (465, 'slow'): 'EHLO within TLS took '},
    'IMAP and POP3': {(587, 'not-smtp'): 'is IMAP', (465, 'not-smtp'): 'is POP3'},
    'HTTP and SSH': {(587, 'not-smtp'): 'is HTTP', (465, 'not-smtp'): 'is SSH'},
    'in TLS: HTTP, IMAP and POP3': {(465, 'not-smtp'): 'is HTTP', (993, 'not-smtp'): 'is IMAP', (995, 'not-smtp'): 'is POP3',
                                    (443, 'not-smtp'): 'is HTTP'},
    'there dropped': {(465, 'filtered'): 'what has left this machine'},
    'there forbidden': {(465, 'prohibited'): 'the host itself says so (ICMP): forbidden'},
    'forbidden on the way': {(465, 'prohibited'): 'says 192.0.2.254 (ICMP)'},
    'cut at the first octet of TLS': {(465, 'reset-after-connect'): 'at the TLS handshake'},
    'stripped at one address of three': {(587, 'intercepted'): f'and not at {TWO}'},
    'nobody has the address': {(465, 'unreachable'): 'nobody answers for it'},
    'nobody has the address, says the router': {(465, 'unreachable'): 'says 192.0.2.254'},
    'dropped here': {(465, 'local-rule'): 'never reaches the network'},
    'reset here': {(465, 'local-rule'): 'never reaches the network'},
    'TLS opened by a firewall': {(465, 'intercepted'): 'FortiGate'},
    'another server over IPv6': {(587, 'differs'): 'answers as peer by IPv4 and as other.example by IPv6'},
}
SHOWN = {  # of rows: what it prints for people
    '25 dropped for the four and one more': 'this network blocks outbound port 25',
    'nobody has the address': 'at port 465 no way there: on this machine\'s own network nobody answers for it',
    'IPv6 leads nowhere': 'cannot be reached by IPv6 from here, and can by IPv4',
    'stripped at one address of three': 'Use mx.two.test, port 465, encryption "SSL/TLS", and log in.',
    'no IPv6': '25, 465, 587, 2525: this machine has no IPv6 that leads there (Network is unreachable): looked at by the other only',
    'dropped here': '465   held back',
    'no network': 'nothing can be reached from here, not even what has nothing to do with mail',
    'one certificate for all': 'something between answers for them',
}
AUTOCONFIG = '''<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="auto.test">
<outgoingServer type="smtp"><hostname>mx.only587.test</hostname><port>587</port><socketType>STARTTLS</socketType>
<authentication>password-cleartext</authentication></outgoingServer></emailProvider></clientConfig>'''




# ---- the world ----

class Says(socketserver.ThreadingTCPServer):
    """No mail server at all: what it says, at once or when it is spoken to."""
    allow_reuse_address, daemon_threads = True, True

    def __init__(self, host, port, text, first, certificate):
        text = text.encode()
        context = context_of(certificate) if certificate else None

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                s = self.request
                s.settimeout(120)
                try:
                    if context:
                        s = context.wrap_socket(s, server_side=True)
                    if first:
                        s.sendall(text)
                    if s.recv(4096) and not first:
                        s.sendall(text)
                    if context:
                        s.unwrap()
                except OSError:
                    pass
        self.address_family = socket.AF_INET6
        with host.inside():
            super().__init__(('::', port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def wait(*_):
    time.sleep(5.3)


def no_mail_before_auth(session, _):
    return None if session.user else '530 5.7.0 log in'


def name_of(host):
    return NAMES.get(host, f'mx.{host}.test')


def here(client, what):
    """What is the client's own doing."""
    if what == 'no ipv6':
        client.net.ip(client.name, '-6', 'route', 'flush', 'dev', 'eth0')
    elif what in ('no network', 'no leave'):
        for family, dns in (('-4', DNS), ('-6', '2001:db8::53')):
            client.net.ip(client.name, family, 'route', 'del', 'default')
            client.net.ip(client.name, family, 'route', 'add', dns, 'dev', 'eth0')
            if what == 'no leave':
                client.net.ip(client.name, family, 'route', 'add', 'prohibit', 'default')
    elif what.startswith('no gate'):
        if what == 'no gate that soon':
            client.run('sysctl', '-qw', 'net.ipv4.neigh.eth0.mcast_solicit=60')
        client.net.ip(client.name, 'route', 'replace', 'default', 'dev', 'eth0', 'src', client.v4[0])
    elif what.startswith('here '):
        client.nft(rule('out', what[5:]))
    else:
        client.nft(rule('in', what[3:], way='sport'))


class World:
    def __init__(self, lab, binary):
        self.lab, self.binary = lab, binary
        self.hosts, self.clients, self.there = {}, {}, {}
        self.gate = Gate(lab.net)
        lab.stack.callback(self.gate.close)
        self.works = dict.fromkeys(SERVERS, True)

    def enter(self, what):
        return self.lab.stack.enter_context(what)

    # ---- servers ----

    def stand(self, host, port, what, certificates):
        """A server at a port of a host."""
        words, _, answers = what.partition(' | ')
        kind, *more = words.split(' ')
        if kind.split('-')[0] in ('says', 'answers'):
            self.enter(Says(host, port, what.partition(' ')[2], kind.startswith('says'), certificates['right'] if kind.endswith('-tls') else None))
            return
        bad = [w for w in more if w in certificates]
        peer = self.enter(Peer(host, port, certificates[bad[0] if bad else 'right'], implicit=kind == 'tls', starttls=kind == 'starttls',
                               users={'ann': 'secret'} if port != 25 and 'noauth' not in more else None, auth_in_clear='authinclear' in more))
        if port != 25 and 'takes' not in more:
            peer.answers['MAIL'] = no_mail_before_auth
        if answers:
            verb, _, answer = answers.partition('=')
            peer.answers[verb] = wait if answer == 'wait' else answer

    def add_hosts(self):
        certificate = self.lab.certificate
        other = certificate('another.test', key='ec')
        for i, (host, ports) in enumerate(HOSTS.items()):
            name = NAMES.get(host, f'mx.{host}.test')
            addresses = [ONLY_IPV4[host]] if host in ONLY_IPV4 else [f'192.0.2.{60 + i}', f'2001:db8::{60 + i:x}']
            addresses += [TWO] if host == 'two' else []
            self.hosts[name] = h = self.lab.net.host(host, *addresses)
            words = ' '.join(ports.values())
            certificates = {'right': certificate(name, key='ec'), 'othername': other}
            if 'selfsigned' in words:
                certificates['selfsigned'] = certificate(name, key='ec', by='')
            if 'expired' in words:
                certificates['expired'] = certificate(name, key='ec', days=-1)
            for port, what in ports.items():
                self.stand(h, port, what, certificates)
            label, _, domain = name.partition('.')
            records = {'@': [f'MX 10 {label}'], label: [f'A {a}' for a in h.v4] + [f'AAAA {a}' for a in h.v6]}
            if host not in UNSIGNED:
                records.update(dict.fromkeys((f'_25._tcp.{label}', f'_465._tcp.{label}'), [tlsa(certificates['right'][0])]))
            if host in ('good', 'nosts'):
                records.update({'_mta-sts': ['TXT "v=STSv1; id=1"'], 'mta-sts': [f'A {WEB}']})
            self.lab.zones.add(domain, records, 'unsigned' if host in UNSIGNED else 'signed')

    def add_ptr(self):
        """Names of addresses: of all but one, and of one that leads elsewhere."""
        v4, v6 = {}, {}
        for name, host in self.hosts.items():
            points = {'mx.noptr.test': None, 'mx.wrongptr.test': 'elsewhere.good.test'}.get(name, name)
            for a in host.v4:
                if points and a.startswith('192.0.2.'):
                    v4[a.split('.')[3]] = [f'PTR {points}.']
            for a in host.v6:
                nibbles = ''.join(f'{int(g or "0", 16):04x}' for g in a.replace('::', ':0:0:0:0:0:').split(':'))
                if points:
                    v6['.'.join(reversed(nibbles[8:]))] = [f'PTR {points}.']
        self.lab.zones.add('2.0.192.in-addr.arpa', v4, 'unsigned')
        self.lab.zones.add('8.b.d.0.1.0.0.2.ip6.arpa', v6, 'unsigned')

    def add_stand_ins(self):
        """What answers on the gate instead of others."""
        anywhere, certificate = self.gate.anywhere, self.lab.certificate
        ca = certificate('proxy.example', by='Acme Proxy CA', key='ec')
        fw = certificate('mx.corp.test', by='FortiGate CA', key='ec')
        right = certificate('mx.good.test', key='ec')
        for port, name, cert, greeting in ((9025, 'isp', None, 'smtp.isp.example ESMTP'), (9465, 'ca465', ca, 'peer ESMTP'),
                                           (9587, 'ca587', ca, 'peer ESMTP'), (9466, 'fw465', fw, 'peer ESMTP'),
                                           (9588, 'fw587', fw, 'peer ESMTP'), (9589, 'other587', right, 'other.example ESMTP')):
            peer = self.enter(Peer(anywhere, port, cert, implicit=name.endswith('465'), users={'ann': 'secret'} if cert else None))
            peer.answers.update({'GREETING': '220 ' + greeting, 'MAIL': no_mail_before_auth})
            self.gate.stand_in(name, peer)

    def add_servers(self):
        """Each as mx, expired and selfsigned; by another name it shows the certificate of mx."""
        self.certificates, self.daemons = {}, []
        for i, server in enumerate(SERVERS):
            domain = server + '.test'
            host = self.lab.us if server == 'postern' else self.lab.net.host(server, f'192.0.2.{11 + i}', f'2001:db8::{11 + i:x}')
            self.hosts['mx.' + domain] = host
            address = [f'A {host.v4[0]}', f'AAAA {host.v6[0]}']
            self.lab.zones.add(domain, dict.fromkeys(('mx', 'expired', 'selfsigned', 'other'), address), 'unsigned')
            certificate, key = self.lab.certificate, 'rsa:2048' if server == 'opensmtpd' else 'ec'
            made = {'mx': certificate('mx.' + domain, key=key), 'expired': certificate('expired.' + domain, days=-1, key=key),
                    'selfsigned': certificate('selfsigned.' + domain, by='', key=key)}
            if server == 'postern':
                self.certificates = made
            else:
                self.daemons.append(submission.KINDS[server](host, domain, made))

    def start_servers(self):
        listed = []
        for name, pem in self.certificates.items():
            paths = [os.path.join(self.lab.folder, f'postern-{name}.{what}') for what in ('cert', 'key')]
            for path, text in zip(paths, pem):
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as f:
                    f.write(text)
            listed.append({'cert': paths[0], 'key': paths[1]})
        for d in self.daemons:
            self.lab.stack.callback(d.__exit__)
        with concurrent.futures.ThreadPoolExecutor(len(SERVERS)) as pool:
            jobs = [pool.submit(d.start) for d in self.daemons]
            self.lab.start_server({'tls': {'certificates': listed}})
            for job in jobs:
                job.result()
        self.works = {s: self.can_tls(s) for s in SERVERS}

    def can_tls(self, server, version=None):
        """Debian's OpenSMTPD 6.8 offers TLS, and with OpenSSL 3 it cannot do it: that is to be seen, too."""
        context = ssl.create_default_context(cafile=self.lab.ca)
        if version:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', DeprecationWarning)
                context.set_ciphers('ALL:@SECLEVEL=0')
                context.minimum_version = context.maximum_version = version
        with self.me.inside():
            try:
                with socket.create_connection((self.hosts[f'mx.{server}.test'].address, 465), 60) as s:
                    with context.wrap_socket(s, server_hostname=f'mx.{server}.test'):
                        return True
            except ssl.SSLError:
                return False

    # ---- clients ----

    def client(self, walls, host):
        """The client that has these walls before it; host: of the first server that is looked at."""
        there = [w for w in walls.split(', ') if w.startswith('there ')]
        key = walls, host if there else ''
        if key not in self.clients:
            self.clients[key] = c = self.gate.client()
            for wall in filter(None, walls.split(', ')):
                if wall in there:
                    rules = self.there.setdefault(host, [])
                    rules += [rule('in', wall[6:], family, c) for family in '46' if family == '4' or self.hosts[host].v6]
                elif wall.split(' ')[0] in ('here', 'in', 'no'):
                    here(c, wall)
                else:
                    self.gate.wall(c, wall)
        return self.clients[key]

    def command(self, client, *args):
        return [*client.prefix(), self.binary, 'check', '--timeout', str(PATIENCE), '--no-old-tls', '--ca-file', self.lab.ca, '--dns', DNS,
                '--trust-anchors', self.lab.zones.anchors, '--control', f'{DNS}:53', *args]

    def client_of(self, row):
        return self.client(row[2], next((a for a in row[1].split(' ') if a in self.hosts), ''))

    def start_walls(self):
        self.gate.start()
        for host, rules in self.there.items():
            self.hosts[host].nft(*rules)

    def run(self, row, *more):
        return subprocess.run(self.command(self.client_of(row), *more, *row[1].split(' ')), capture_output=True, text=True, timeout=300)

    def look(self, row):
        """(exit status, what it found) of a row."""
        p = self.run(row, '--json')
        assert p.stderr == '', p.stderr
        return p.returncode, json.loads(p.stdout)


def row_of_server(row, server):
    return (f'{row[0]}: {server}', f'{row[1]}.{server}.test', *row[2:])


def all_rows():
    """By their names, the slow ones first."""
    rows = [*ROWS, *(row_of_server(r, s) for r in FOUR for s in SERVERS)]
    return {r[0]: r for r in sorted(rows, key=lambda r: ('slow' not in r[0], not waits(r)))}


def waits(row):
    """Most of its time for what does not answer."""
    return '--timeout' in row[1] or any(word in row[2] for word in ('drop', 'hang', 'no network', 'no gate'))


@pytest.fixture(scope='module')
def world(lab, binary):
    w = World(lab, binary)
    w.me = w.gate.client()
    w.add_hosts()
    w.add_ptr()
    w.add_stand_ins()
    lab.zones.add('srv.test', {'_submissions._tcp': ['SRV 0 1 465 mx.good.test.'], '_submission._tcp': ['SRV 0 1 0 .']})
    lab.zones.add('gone.test', {'mx': ['A 192.0.2.250']}, 'unsigned')
    lab.zones.add('auto.test', {'@': ['MX 10 mx.good.test.'], 'autoconfig': [f'A {WEB}']}, 'unsigned')
    web = w.enter(Web(lab.net.host('web', WEB), lab.certificate('autoconfig.auto.test', 'mta-sts.good.test', 'mta-sts.nosts.test', key='ec'),
                      lab.folder))
    policy = 'version: STSv1\nmode: enforce\nmax_age: 86400\nmx: mx.good.test\n'
    web.pages.update({('autoconfig.auto.test', '/mail/config-v1.1.xml'): AUTOCONFIG,
                      **{(f'mta-sts.{d}.test', '/.well-known/mta-sts.txt'): policy for d in ('good', 'nosts')}})
    w.add_servers()
    lab.start_dns()
    w.start_servers()
    return w


@pytest.fixture(scope='module')
def seen(world, request):
    """(exit status, what was found) of each row that was asked for, all looked at at once."""
    rows = all_rows()
    def chosen(test):
        return [i.callspec.params['name'] for i in request.session.items if i.function.__name__ == test and i.module is request.module]
    shown = chosen('test_in_words')
    asked = list({*chosen('test_row'), *shown})
    asked.sort(key=list(rows).index)
    for name in asked:
        world.client_of(rows[name])
    world.start_walls()
    # Few of those that keep the machine busy, so that each is answered soon.
    with concurrent.futures.ThreadPoolExecutor(12) as patient, concurrent.futures.ThreadPoolExecutor(3) as busy:
        pool = {name: patient if waits(rows[name]) else busy for name in asked}
        jobs = {name: pool[name].submit(world.look, rows[name]) for name in asked}
        jobs.update({(name, 'text'): pool[name].submit(world.run, rows[name], '-v') for name in shown})
    return {name: job.result for name, job in jobs.items()}


# ---- the rows ----

def said(found, level=None):
    return {(f['port'] or 'all', f['code']) for f in found['findings'] if level in (None, f['level'])}


def expected(text):
    """{(465, 'filtered'), ...}"""
    pairs = [e.split(' ') for e in text.split(', ') if e]
    return {('all' if port == 'all' else int(port), code) for port, code in pairs}


def as_it_can(world, server, codes, answer):
    """The same of a server that offers TLS and cannot do it."""
    if world.works[server]:
        return codes, answer
    tls = {'tls', 'auth', 'certificate-name', 'certificate-expired', 'certificate-self-signed'}
    return {(port, 'tls-failed' if code in tls else code) for port, code in codes}, 'nothing'


@pytest.mark.parametrize('name', all_rows())
def test_row(world, seen, name):
    row = all_rows()[name]
    codes, answer = expected(row[3]), row[4]
    if name.split(': ')[-1] in SERVERS:
        codes, answer = as_it_can(world, name.split(': ')[1], codes, answer)
    status, found = seen[name]()
    taken = {port for port, code in codes if code == 'intercepted'}
    assert not taken & {a['port'] for a in found['verdict']['also']}, found['verdict']
    assert codes <= said(found), (sorted(said(found), key=str), found['findings'])
    assert {c for _, c in said(found, 'alarm')} <= {c for _, c in codes}, found['findings']
    verdict = found['verdict']
    got = {'use': 'use', 'use-pinned': 'pin', 'nothing': 'nothing'}[verdict['answer']]
    if answer not in ('well', 'ill'):
        assert (f'{got} {verdict["use"]["port"]}' if verdict['use'] else got) == answer, (verdict, found['findings'])
    assert status == (0 if answer.startswith(('use', 'well')) else 1), found['findings']
    for (port, code), words in WORDS.get(name, {}).items():
        texts = [f['text'] for f in found['findings'] if (f['port'], f['code']) == (port, code)]
        assert any(words in t for t in texts), texts
    if name in FROM:
        assert FROM[name] in [(h['host'], h['from']) for h in found['hosts']], found['hosts']


def test_each_port_of_each_address(seen):
    """Four ports, two addresses; and as slow as the slowest, not as slow as all."""
    if 'good' not in seen or 'there dropped' not in seen:
        pytest.skip('with the others only')
    _, found = seen['good']()
    at = {(p['port'], ':' in p['address']): p['tls']['dane'] for p in found['hosts'][0]['ports']}
    assert at == {(p, six): 'match' if p in (25, 465) else 'none' for p in (25, 465, 587, 2525) for six in (False, True)}
    states = {p['port']: p['state'] for p in seen['there dropped']()[1]['hosts'][0]['ports']}
    assert states == {25: 'open', 465: 'filtered', 587: 'open', 2525: 'open'}


def test_as_slow_as_the_slowest_port(world, seen):
    """Eight looks at two silent ports and two good ones, over both families: not their sum."""
    rows = all_rows()
    _, found = world.look(rows['2525 when there is nothing else'])
    assert found['took_ms'] < 3 * PATIENCE * 1000


def test_needs_no_root(world):
    """What proves a rule of this machine is there for everybody."""
    nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
    if subprocess.run([*nobody, 'test', '-x', world.binary]).returncode:
        pytest.skip('nobody may run the program where it lies')
    client = world.gate.client()
    client.nft(rule('out', '465 reset'), rule('out', '587 drop'), rule('out', '25 reject'))
    command = world.command(client, '--json', '-p', '25,465,587', 'mx.good.test')
    at = len(client.prefix())
    p = subprocess.run([*command[:at], *nobody, *command[at:]], capture_output=True, text=True, timeout=300)
    ports = json.loads(p.stdout)['hosts'][0]['ports']
    assert [x['local'] for x in ports] == [True] * 6, ports
    assert {x['sent'] for x in ports if x['port'] in (465, 587)} == {'held'}, ports


@pytest.mark.parametrize('name', SHOWN)
def test_in_words(seen, name):
    """Several hosts, and findings that are of none of their ports, as people read them."""
    p = seen[name, 'text']()
    assert p.stderr == '' and p.returncode in (0, 1), p.stderr
    assert not [line for line in p.stdout.splitlines() if 'filtered' in line and 'the one to use' in line], p.stdout
    assert SHOWN[name] in p.stdout or SHOWN[name] in ' '.join(p.stdout.split()), p.stdout


@pytest.mark.parametrize('server', SERVERS)
def test_for_people(world, server):
    """What it prints, of which build/shown keeps a copy."""
    command = [c for c in world.command(world.me, '-v', f'mx.{server}.test') if c != '--no-old-tls']
    p = subprocess.run(command, capture_output=True, text=True, timeout=300)
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../build/shown')
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f'check-{server}.txt'), 'w') as f:
        f.write(p.stdout)
    assert p.stderr == '' and p.returncode == (0 if world.works[server] else 1), p.stdout + p.stderr
    assert ('TLSv1.0' in p.stdout) == world.can_tls(server, ssl.TLSVersion.TLSv1), p.stdout
    if world.works[server]:
        assert f'Use mx.{server}.test, port 465, encryption "SSL/TLS", and log in.' in ' '.join(p.stdout.split())
        pem = world.certificates['mx'][0] if server == 'postern' else next(d for d in world.daemons if d.domain == server + '.test').certificate[0]
        der = ssl.PEM_cert_to_DER_cert(pem)
        assert '--pin ' + hashlib.sha256(der).hexdigest() in p.stdout
