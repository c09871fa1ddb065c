"""A client that says exactly what a test tells it to, byte for byte."""
import base64
import socket
import ssl

TIMEOUT = 60  # so long an answer is waited for; no time-out of the server's is as long
PASSWORD = 'correct horse battery'  # as in conftest.py, whose fixture lives for one test only


def context():
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    return c


class Raw:
    def __init__(self, where, tls=False, greeting=None, host='127.0.0.1', source=None):
        """where: a port of host, or the path of a Unix socket.  greeting: the code that it must have.
        source: the address to come from."""
        if isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(TIMEOUT)
            self.sock.connect(where)
        else:
            # Made before: a client that speaks TLS first has little time for its first byte.
            early = context() if tls else None
            self.sock = socket.create_connection((host, where), TIMEOUT, (source, 0) if source else None)
        self.got = b''
        if tls:
            self.tls(early)
        if greeting:
            self.expect(greeting)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def tls(self, with_context=None):
        self.sock = (with_context or context()).wrap_socket(self.sock)

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        """The next line without its CRLF; '' at the end of the connection."""
        while b'\r\n' not in self.got:
            try:
                more = self.sock.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                more = b''
            if not more:
                rest, self.got = self.got, b''
                return rest.decode()
            self.got += more
        line, self.got = self.got.split(b'\r\n', 1)
        return line.decode()

    def reply(self):
        """All lines of the next reply, joined by newlines."""
        lines = [self.line()]
        while lines[-1][3:4] == '-':
            lines.append(self.line())
        return '\n'.join(lines)

    def expect(self, begins):
        reply = self.reply()
        assert reply.startswith(str(begins)), f'expected {begins}, got: {reply!r}'
        return reply

    def say(self, line, begins):
        self.send(line + '\r\n')
        return self.expect(begins)

    def ehlo(self):
        """What EHLO names: {'SIZE': '1000', ...}."""
        reply = self.say('EHLO client.test', 250)
        return dict((line[4:].split(' ', 1) + [''])[:2] for line in reply.split('\n')[1:])

    def starttls(self):
        self.ehlo()
        self.say('STARTTLS', 220)
        self.tls()
        return self

    def login(self, account, password, begins=235):
        self.ehlo()
        secret = base64.b64encode(f'\0{account}\0{password}'.encode()).decode()
        return self.say(f'AUTH PLAIN {secret}', begins)

    def envelope(self, sender, *recipients):
        self.say(f'MAIL FROM:<{sender}>', 250)
        for r in recipients:
            self.say(f'RCPT TO:<{r}>', 250)

    def message(self, sender, recipients, text, begins=250):
        """text: with bare LF line ends."""
        self.envelope(sender, *([recipients] if isinstance(recipients, str) else recipients))
        self.say('DATA', 354)
        body = '\r\n'.join('.' + line if line.startswith('.') else line for line in text.split('\n'))
        return self.say(body.rstrip('\r\n') + '\r\n.', begins)

    def at_end(self):
        """True once the server has closed; what it said before must have been read."""
        rest = self.line()
        assert rest == '', f'more came: {rest!r}'
        return True
