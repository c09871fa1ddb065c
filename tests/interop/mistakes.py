"""Servers with which a client's settings do not fit, each for a mistake that people make.

MISTAKES, at the end, is the table: what the client does (how it encrypts, whether it verifies and logs in, who writes
to whom), where it comes to, and the cause that `postern check --explain` must find in what it prints.  A place is a
server of the class World, by name.
"""
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import warnings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../system'))

from smtp_peer import CLOSE, SmtpPeer  # noqa: E402

NAME = 'localhost'  # what the clients are told, so that names of certificates count


def openssl(*args):
    subprocess.run(['openssl', *args], check=True, capture_output=True)


class Certificates:
    """An authority and what it signed: right, wrong-name, expired; and self-signed, of no authority."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self.path('ca.pem')
        openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=Test Authority', '-days', '3650',
                '-addext', 'keyUsage=critical,keyCertSign', '-keyout', self.path('ca.key'), '-out', self.ca)
        openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', f'/CN={NAME}', '-days', '365', '-addext',
                f'subjectAltName=DNS:{NAME}', '-keyout', self.path('self-signed.key'), '-out', self.path('self-signed.pem'))
        self.sign('right', NAME, '365')
        self.sign('wrong-name', 'mail.example.net', '365')
        self.sign('expired', NAME, '0')

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, what, name, days):
        with open(self.path(what + '.ext'), 'w') as f:
            f.write(f'subjectAltName=DNS:{name}\n')
        openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', f'/CN={name}', '-keyout', self.path(what + '.key'),
                '-out', self.path(what + '.csr'))
        openssl('x509', '-req', '-in', self.path(what + '.csr'), '-CA', self.ca, '-CAkey', self.path('ca.key'), '-CAcreateserial',
                '-days', days, '-extfile', self.path(what + '.ext'), '-out', self.path(what + '.pem'))

    def context(self, what, old=False):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.path(what + '.pem'), self.path(what + '.key'))
        if old:
            c.set_ciphers('ALL:@SECLEVEL=0')
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # that it is old is what it is for
                c.minimum_version, c.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1
        return c


class TlsOnly:
    """A port with implicit TLS, as other servers have it: whoever speaks otherwise learns nothing."""

    def __init__(self, context):
        self.context = context
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError), sock:
            sock.settimeout(20)
            with self.context.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(b'220 odd.test ESMTP\r\n')
                for line in tls.makefile('rb'):
                    quits = line.lower().startswith(b'quit')
                    tls.sendall(b'221 2.0.0 bye\r\n' if quits else b'250 odd.test\r\n')
                    if quits:
                        return

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Deaf:
    """A port whose connections are never completed, as behind a firewall that drops: its backlog is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(('127.0.0.1', 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.held = []
        for _ in range(3):
            s = socket.socket()
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.connect(('127.0.0.1', self.port))
            self.held.append(s)

    def close(self):
        for s in [*self.held, self.listener]:
            s.close()


def peer(**answers):
    p = SmtpPeer().listen()
    p.answer.update(answers)
    return p


EHLO = '250-peer.test\n250-SIZE 10000000\n250 ENHANCEDSTATUSCODES'
AUTH = '250-peer.test\n250-AUTH PLAIN LOGIN\n250 ENHANCEDSTATUSCODES'


class World:
    """Everything one can come to: port[PLACE]; 'submission', 'submissions' and 'relay' are a Postern's."""

    def __init__(self, folder, postern):
        self.certificates = Certificates(folder)
        self.peers = {
            'no-starttls': peer(ehlo=EHLO),
            'no-auth': peer(ehlo=EHLO),
            'odd-auth': peer(ehlo='250-peer.test\n250 AUTH GSSAPI NTLM'),
            'needs-starttls': peer(ehlo=EHLO.replace('250-SIZE', '250-STARTTLS\n250-SIZE'), mail='530 5.7.0 Must issue a STARTTLS command first'),
            'says-no': peer(ehlo=AUTH, auth='535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6'),
            'app-password': peer(ehlo=AUTH, auth='534-5.7.9 Application-specific password required. Learn more at\n'
                                 '534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor a640c23a62f3a-a68.1 - gsmtp'),
            'smtp-auth-off': peer(ehlo=AUTH, auth='535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the '
                                  'Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.'),
            'relay-denied': peer(ehlo=EHLO, rcpt='554 5.7.1 <bob@example.org>: Relay access denied'),
            'greylisted': peer(ehlo=EHLO, rcpt='451 4.7.1 Greylisting in action, please come back later'),
            'too-many': peer(ehlo=EHLO, mail='452 4.5.3 Too many messages in this hour, rate limit exceeded'),
            'too-large': peer(ehlo=EHLO.replace('10000000', '100'), mail='552 5.3.4 Message size exceeds fixed limit'),
            'blocked': peer(greeting='554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org'),
            'closes': peer(greeting=CLOSE),
            'silent': peer(greeting=None),
        }
        self.others = {
            'tls-only': TlsOnly(self.certificates.context('right')),
            'self-signed': TlsOnly(self.certificates.context('self-signed')),
            'untrusted': TlsOnly(self.certificates.context('right')),
            'wrong-name': TlsOnly(self.certificates.context('wrong-name')),
            'expired': TlsOnly(self.certificates.context('expired')),
            'old-tls': TlsOnly(self.certificates.context('right', old=True)),
            'deaf': Deaf(),
        }
        self.nobody = socket.socket()  # bound, and not listening
        self.nobody.bind(('127.0.0.1', 0))
        self.port = {**{name: p.port for name, p in {**self.peers, **self.others}.items()}, 'nobody': self.nobody.getsockname()[1],
                     **postern}

    def close(self):
        for p in self.peers.values():
            p.__exit__()
        for p in self.others.values():
            p.close()
        self.nobody.close()


class Mistake:
    """cause: the one to be named first.  tls: as of clients.Task.  ca: 'ours' trusts the
    test's authority, '' the system's, None anybody."""

    def __init__(self, place, cause, tls='none', auth=False, ca=None, host=NAME, user='ann@example.org', to='bob@example.org',
                 password=None, sender=None):
        self.place, self.cause, self.tls, self.auth, self.ca, self.host = place, cause, tls, auth, ca, host
        self.user, self.to, self.password, self.sender = user, to, password, sender


# 'submission', 'submissions' and 'relay' are a Postern's.
MISTAKES = {
    'tls-on-25': Mistake('relay', 'tls-to-plain-port', tls='tls'),
    'tls-on-plain': Mistake('no-auth', 'tls-to-plain-port', tls='tls'),
    'plain-on-465': Mistake('tls-only', 'plain-to-tls-port', tls='starttls', auth=True),
    'plain-on-postern-465': Mistake('submissions', 'plain-to-tls-port', tls='starttls', auth=True),
    'self-signed': Mistake('self-signed', 'certificate-self-signed', tls='tls', ca=''),
    'untrusted': Mistake('untrusted', 'certificate-untrusted', tls='tls', ca=''),
    'self-signed-starttls': Mistake('submission', 'certificate-self-signed', tls='starttls', ca='', auth=True),
    'wrong-name': Mistake('wrong-name', 'certificate-name', tls='tls', ca='ours'),
    'expired': Mistake('expired', 'certificate-expired', tls='tls', ca='ours'),
    'old-tls': Mistake('old-tls', 'tls-old', tls='tls'),
    'refused': Mistake('nobody', 'refused'),
    'timed-out': Mistake('deaf', 'timed-out'),
    'silent': Mistake('silent', 'plain-to-tls-port'),
    'no-such-name': Mistake('no-auth', 'name-unknown', host='smtp.no-such-name.invalid'),
    'no-starttls': Mistake('no-starttls', 'starttls-not-offered', tls='starttls'),
    'needs-starttls': Mistake('needs-starttls', 'starttls-required'),
    'needs-login': Mistake('submission', 'auth-required', tls='starttls'),
    'no-auth': Mistake('no-auth', 'auth-not-offered', auth=True),
    'odd-auth': Mistake('odd-auth', 'auth-mechanism', auth=True),
    'password': Mistake('submission', 'password-refused', tls='starttls', auth=True, password='wrong'),
    'password-there': Mistake('says-no', 'password-refused', auth=True),
    'app-password': Mistake('app-password', 'app-password', auth=True),
    'smtp-auth-off': Mistake('smtp-auth-off', 'smtp-auth-off', auth=True),
    'relay-denied': Mistake('relay', 'relay-denied', to='bob@example.net'),
    'relay-denied-there': Mistake('relay-denied', 'relay-denied'),
    'sender': Mistake('submission', 'sender-not-allowed', tls='starttls', auth=True, sender='bob@example.org'),
    'recipient': Mistake('relay', 'recipient-unknown', to='nobody-here@example.org'),
    'greylisted': Mistake('greylisted', 'greylisted'),
    'too-many': Mistake('too-many', 'rate-limited'),
    'too-large': Mistake('too-large', 'too-large'),
    'blocked': Mistake('blocked', 'blocklisted'),
    'closed': Mistake('closes', 'connection-closed'),
}
