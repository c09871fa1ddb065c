"""A server that takes logins, or does not, and the wire before it, of which every octet is kept."""
import base64
import socket
import ssl
import threading

import pytest
from test_tls import make_certificate

USER, SECRET, TOKEN = 'ann@example.org', 'a secret of hers', 'ya29.a-token'


class Wire:
    """What a client and a server say to each other goes through here, and is kept."""

    def __init__(self, port):
        self.octets = bytearray()
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]
        self.to = port
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            server = socket.create_connection(('127.0.0.1', self.to))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                self.octets += data
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Server:
    """At one port of 127.0.0.1, as `localhost`; `lines` are (connection, in TLS, line)."""

    def __init__(self, cert, implicit=False, mechs='PLAIN LOGIN', clear='', starttls=True, refusal='535 5.7.8 wrong',
                 sender='250 2.1.0 ok', later=None, users=None, address=('127.0.0.1', 0)):
        self.implicit, self.mechs, self.clear, self.starttls = implicit, mechs, clear, starttls
        self.refusal, self.sender, self.later, self.lines, self.came, self.threads = refusal, sender, later, [], 0, []
        self.users = {USER: SECRET} if users is None else users
        self.use(cert)
        self.socket = socket.create_server(address)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def use(self, cert):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*cert)

    def listen(self):
        while True:
            try:
                c = self.socket.accept()[0]
            except OSError:
                return
            self.came += 1
            if self.later:
                self.heard()
                if any(line.startswith(b'QUIT') for _, _, line in self.lines):
                    self.later(self)  # the look is over: what comes now is the login
                    self.later = None
            self.threads.append(threading.Thread(target=self.serve, args=(c, self.came), daemon=True))
            self.threads[-1].start()

    def heard(self):
        """Whoever came has gone, and all that he said is in `lines`: a client does not wait for the answer to QUIT."""
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), self.lines

    def serve(self, c, number):
        try:
            if self.implicit:
                c = self.context.wrap_socket(c, server_side=True)
            self.talk(c, number, self.implicit, True)
        except OSError:
            pass
        finally:
            c.close()

    def talk(self, c, number, tls, greets):
        file = c.makefile('rwb')
        logged_in = False

        def say(*lines):
            file.write(b''.join(line.encode() + b'\r\n' for line in lines))
            file.flush()

        def hear():
            line = file.readline().strip()
            self.lines.append((number, tls, line))
            return line

        def ask(prompt):
            say('334 ' + base64.b64encode(prompt).decode())
            return base64.b64decode(hear())
        if greets:
            say('220 localhost')
        while line := hear():
            words = line.decode('latin1').split()
            verb = words[0].upper()
            if verb == 'EHLO':
                offers = ['localhost', *(['STARTTLS'] if self.starttls and not tls else [])]
                mechs = self.mechs if tls else self.clear
                offers += ['AUTH ' + mechs] if mechs else []
                say(*(f'250-{o}' for o in offers[:-1]), f'250 {offers[-1]}')
            elif verb == 'STARTTLS' and self.starttls:
                say('220 go')
                self.talk(self.context.wrap_socket(c, server_side=True), number, True, False)
                return
            elif verb == 'AUTH':
                if words[1] == 'LOGIN':
                    got = [ask(b'Username:'), ask(b'Password:')]
                elif words[1] == 'PLAIN':
                    got = base64.b64decode(words[2]).split(b'\0')[1:]
                else:
                    got = [USER.encode(), SECRET.encode()] if f'auth=Bearer {TOKEN}\1'.encode() in base64.b64decode(words[2]) else []
                logged_in = len(got) == 2 and self.users.get(got[0].decode()) == got[1].decode()
                if not logged_in and words[1] not in ('PLAIN', 'LOGIN'):
                    ask(b'{"status":"invalid_token","scope":"mail"}')
                say('235 2.7.0 in' if logged_in else self.refusal)
            elif verb == 'MAIL':
                say(self.sender if logged_in else '530 5.7.0 log in first')
            elif verb == 'DATA':
                say('354 go on')
                while file.readline() not in (b'.\r\n', b''):
                    pass
                say('250 2.0.0 taken')
            elif verb == 'QUIT':
                say('221 bye')
                return
            else:
                say('250 ok')

    def auths(self):
        self.heard()
        return [(tls, line.split()[1]) for _, tls, line in self.lines if line.startswith(b'AUTH')]

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def plain(user, secret):
    return base64.b64encode(f'\0{user}\0{secret}'.encode()).decode()


def is_silent(wire, user=USER, secret=SECRET):
    """Nothing that went over it tells of a login."""
    for word in (b'\nAUTH ', user.encode(), secret.encode(), plain(user, secret).encode(),
                 base64.b64encode(user.encode()), base64.b64encode(secret.encode())):
        if word in bytes(wire.octets):
            return False
    return len(wire.octets) > 0


@pytest.fixture(scope='module')
def certs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('certs')
    kind = ('ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
    return {name: make_certificate(folder, name, [name], *kind) for name in ('localhost', 'other.test')}


@pytest.fixture
def serve(certs):
    """serve(certificate='localhost', ...): the server, and the port at which it is reached over a Wire."""
    made = []

    def make(certificate='localhost', **more):
        server = Server(certs[certificate], **more)
        wire = Wire(server.port)
        made.extend([server, wire])
        return server, wire
    yield make
    for s in made:
        s.close()
