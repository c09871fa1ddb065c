"""A mail server that does what a test wants, on a host of the lab, and remembers every octet that it was sent.

    peer = lab.stack.enter_context(Peer(host, 25, lab.certificate('mx.far.test')))
    peer.answers['RCPT'] = '451 4.7.1 greylisted'           # for ever, or a function of (session, line)
    peer.mail                                               # what was taken: (sender, [recipients], octets, session)
    peer.sessions[0].wire                                   # as it came over the wire
"""
import base64
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time


def tlsa(certificate):
    """The record 3 1 1 for the key of a certificate in PEM."""
    public = subprocess.run(['openssl', 'x509', '-pubkey', '-noout'], input=certificate.encode(), check=True, capture_output=True).stdout
    der = subprocess.run(['openssl', 'pkey', '-pubin', '-outform', 'der'], input=public, check=True, capture_output=True).stdout
    digest = subprocess.run(['openssl', 'sha256', '-binary'], input=der, check=True, capture_output=True).stdout
    return 'TLSA 3 1 1 ' + digest.hex()


def context_of(certificate):
    """For a server that shows this certificate: (PEM, PEM of its key)."""
    with tempfile.TemporaryDirectory(prefix='peer-') as folder:
        for name, text in zip(('c', 'k'), certificate):
            with open(os.path.join(folder, name), 'w') as f:
                f.write(text)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, 'c'), os.path.join(folder, 'k'))
    return context


class Gone(Exception):
    pass


class Session:
    def __init__(self, peer, sock, address):
        self.peer, self.sock, self.address = peer, sock, address
        self.begun = time.monotonic()
        self.over = threading.Event()
        self.wire = bytearray()   # everything, encrypted as it came
        self.clear = bytearray()  # what of it anybody on the way could read
        self.lines = []           # commands
        self.tls = self.user = None
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.buffer = b''

    # ---- octets ----

    def more(self):
        """Waits for octets of the client's."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b''
        if not data:
            raise Gone
        self.wire += data
        if not self.tls:
            self.clear += data
        return data

    def flush(self):
        if self.going.pending:
            self.sock.sendall(self.going.read())

    def start_tls(self):
        tls = self.peer.context.wrap_bio(self.coming, self.going, server_side=True)
        self.tls = tls
        if self.buffer:
            self.coming.write(self.buffer)
            self.buffer = b''
        while True:
            try:
                tls.do_handshake()
                self.flush()
                return
            except ssl.SSLWantReadError:
                self.flush()
                self.coming.write(self.more())
            except ssl.SSLError:
                self.flush()
                raise Gone from None

    def read(self):
        if not self.tls:
            return self.more()
        while True:
            try:
                data = self.tls.read(65536)
                if not data:
                    raise Gone
                return data
            except ssl.SSLWantReadError:
                self.coming.write(self.more())
            except ssl.SSLError:
                raise Gone from None

    def write(self, text):
        data = text.encode() + b'\r\n'
        try:
            if self.tls:
                self.tls.write(data)
                self.flush()
            else:
                self.sock.sendall(data)
        except (OSError, ssl.SSLError):
            raise Gone from None

    def until(self, end):
        while end not in self.buffer:
            self.buffer += self.read()
        at = self.buffer.index(end) + len(end)
        out, self.buffer = self.buffer[:at], self.buffer[at:]
        return out

    # ---- the dialogue ----

    def run(self):
        self.on_rset('')
        if self.peer.implicit:
            self.start_tls()
        self.write(self.peer.said(self, 'GREETING', '') or '220 peer ESMTP')
        while True:
            line = self.until(b'\r\n')[:-2].decode('latin1')
            self.lines.append(line)
            verb = line.split(' ')[0].split(':')[0].upper()
            said = self.peer.said(self, verb, line)
            if said is None:
                said = getattr(self, 'on_' + verb.lower(), lambda _: '502 5.5.1 what?')(line)
            elif said[:1] == '2' and verb in ('MAIL', 'RCPT'):
                getattr(self, 'on_' + verb.lower())(line)
            if said:
                self.write(said)
            if verb == 'QUIT' or (said or '').startswith('421'):
                raise Gone
            if verb == 'STARTTLS' and said[:1] == '2':
                self.start_tls()

    def on_ehlo(self, _):
        words = ['peer', 'PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES']
        if self.peer.context and self.peer.starttls and not self.tls:
            words.append('STARTTLS')
        if self.peer.requiretls and self.tls:
            words.append('REQUIRETLS')
        if self.peer.users and (self.tls or self.peer.auth_in_clear):
            words.append('AUTH PLAIN LOGIN')
        return '\r\n'.join(f'250{"-" if i + 1 < len(words) else " "}{w}' for i, w in enumerate(words))

    def on_starttls(self, _):
        return '220 2.0.0 go ahead' if self.peer.context and self.peer.starttls and not self.tls else '502 5.5.1 not offered'

    def on_auth(self, line):
        words = line.split(' ')
        if words[1].upper() == 'PLAIN':
            if len(words) < 3:
                self.write('334 ')
                words.append(self.until(b'\r\n')[:-2].decode())
            user, password = base64.b64decode(words[2]).decode().split('\0')[1:]
        else:
            got = []
            for ask in ('Username:', 'Password:'):
                self.write('334 ' + base64.b64encode(ask.encode()).decode())
                got.append(base64.b64decode(self.until(b'\r\n')).decode())
            user, password = got
        if self.peer.users.get(user) != password:
            return '535 5.7.8 wrong'
        self.user = user
        return '235 2.7.0 welcome'

    def on_mail(self, line):
        self.sender, self.to = line[line.index('<') + 1:line.index('>')], []
        return '250 2.1.0 OK'

    def on_rcpt(self, line):
        if self.sender is None:
            return '503 5.5.1 MAIL first'
        self.to.append(line[line.index('<') + 1:line.index('>')])
        return '250 2.1.5 OK'

    def on_data(self, _):
        if not self.to:
            return '503 5.5.1 no recipients'
        self.write('354 go ahead')
        self.buffer = b'\r\n' + self.buffer  # nothing may stand before the dot
        data = self.until(b'\r\n.\r\n')[2:-3]
        said = self.peer.said(self, '.', '') or '250 2.0.0 taken'
        if said[0] == '2':
            self.peer.mail.append((self.sender, list(self.to), data, self))
        self.on_rset('')
        return said

    def on_rset(self, _):
        self.sender, self.to = None, []
        return '250 2.0.0 OK'

    def on_noop(self, _):
        return '250 2.0.0 OK'

    def on_quit(self, _):
        return '221 2.0.0 bye'

    on_helo = on_noop


class Peer:
    def __init__(self, host, port=25, certificate=None, starttls=True, implicit=False, users=None, auth_in_clear=False, requiretls=False):
        """users: passwords by name, if it offers AUTH."""
        self.host, self.port = host, port
        self.starttls, self.implicit, self.users, self.auth_in_clear = starttls, implicit, users or {}, auth_in_clear
        self.requiretls = requiretls
        self.answers, self.sessions, self.mail = {}, [], []
        self.context = None
        self.use(certificate)

    def use(self, certificate):
        """From now on it shows this certificate."""
        if not certificate:
            return
        self.context = context_of(certificate)

    def said(self, session, verb, line):
        answer = self.answers.get(verb)
        return answer(session, line) if callable(answer) else answer

    def __enter__(self):
        with self.host.inside():
            self.sockets = [socket.create_server((a, self.port), family=socket.AF_INET6 if ':' in a else socket.AF_INET)
                            for a in self.host.v4 + self.host.v6]
        for s in self.sockets:
            threading.Thread(target=self.accept, args=(s,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for s in [*self.sockets, *(x.sock for x in self.sessions)]:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def accept(self, listening):
        while True:
            try:
                sock, address = listening.accept()
            except OSError:
                return
            sock.settimeout(60)
            session = Session(self, sock, address)
            self.sessions.append(session)
            threading.Thread(target=self.serve, args=(session,), daemon=True).start()

    @staticmethod
    def serve(session):
        try:
            session.run()
        except (Gone, OSError):
            pass
        finally:
            session.sock.close()
            session.over.set()

    # ---- what a test looks at ----

    def idle(self, timeout=60):
        """Waits until nobody talks to it: what comes next comes over a connection of its own, if those who are there leave
        (relay.idle)."""
        deadline = time.monotonic() + timeout
        for s in self.sessions:
            assert s.over.wait(deadline - time.monotonic()), f'it still talks: {s.lines}'

    def forget(self):
        """As if it were new, once nobody talks to it any more."""
        self.idle()
        self.answers, self.sessions, self.mail = {}, [], []

    def taken(self, to):
        return [m for m in self.mail if to in m[1]]

    def wait(self, to, timeout=60):
        """The first message that it took for that recipient."""
        deadline = time.monotonic() + timeout
        while not self.taken(to):
            assert time.monotonic() < deadline, f'{to} never came: {[s.lines for s in self.sessions]}'
            time.sleep(0.05)
        return self.taken(to)[0]

    @property
    def wire(self):
        return b''.join(bytes(s.wire) for s in self.sessions)

    @property
    def clear(self):
        return b''.join(bytes(s.clear) for s in self.sessions)
