"""An LMTP server that behaves as a test tells it to: right, wrong, slow, or dying at any byte.

    with LmtpPeer(path) as peer:            # or LmtpPeer() for a port of loopback
        peer.answer['rcpt'] = lambda s, to: '550 5.1.1 no such user' if b'bob' in to else OK
        peer.wait_messages(1)[0].data

An answer is a text (its lines are ended), None (says nothing), bytes (sent as they are),
or CLOSE.  Messages that were answered 2xx for a recipient stand in peer.messages.
"""
import contextlib
import os
import socket
import threading
import time

OK = '250 2.0.0 OK'
CLOSE = object()


class Message:
    def __init__(self, sender, to, data):
        self.sender, self.to, self.data = sender, to, data

    def __repr__(self):
        return f'<{self.sender!r} to {self.to!r}: {len(self.data)} octets>'


class Closed(Exception):
    pass


class Session(threading.Thread):
    def __init__(self, peer, sock, number):
        super().__init__(daemon=True)
        self.peer, self.sock, self.number = peer, sock, number
        self.file = sock.makefile('rb')
        self.sender, self.to, self.sent, self.lines = None, [], 0, []

    def say(self, what):
        if what is CLOSE:
            raise Closed
        if what is None:
            return
        if isinstance(what, str):
            what = what.replace('\n', '\r\n').encode() + b'\r\n'
        cut = self.peer.close_after
        if cut is not None and self.sent + len(what) >= cut:
            self.sock.sendall(what[:max(0, cut - self.sent)])
            raise Closed
        self.sock.sendall(what)
        self.sent += len(what)

    def ask(self, step, argument=b''):
        return self.peer.answer[step](self, argument)

    def run(self):
        try:
            self.say(self.ask('greeting'))
            while True:
                line = self.file.readline()
                if not line:
                    return
                self.command(line)
        except (Closed, OSError):
            pass
        finally:
            self.peer.ended(self)
            self.file.close()  # it holds the socket open too
            self.sock.close()

    def command(self, line):
        self.lines.append(line)
        verb = line.split(None, 1)[0].upper().split(b':')[0] if line.split() else b''
        if not line.endswith(b'\r\n'):
            self.peer.faults.append(line)
        if verb == b'LHLO':
            self.say(self.ask('lhlo', line))
        elif verb == b'MAIL':
            said = self.ask('mail', line)
            self.sender, self.to = line, []
            self.say(said)
        elif verb == b'RCPT':
            said = self.ask('rcpt', line)
            if isinstance(said, str) and said[0] == '2':
                self.to.append(line[line.index(b'<') + 1:line.index(b'>')].decode())
            self.say(said)
        elif verb == b'DATA':
            if not self.to:
                self.say('503 5.5.1 no recipients')
                return
            said = self.ask('data')
            self.say(said)
            if isinstance(said, str) and said.startswith('354'):
                self.body()
        elif verb == b'RSET':
            self.to = []
            self.say(self.ask('rset'))
        elif verb == b'QUIT':
            self.say('221 2.0.0 bye')
            raise Closed
        else:
            self.peer.faults.append(line)
            self.say('500 5.5.2 what?')

    def body(self):
        data = []
        while True:
            line = self.file.readline()
            if not line:
                return
            if not line.endswith(b'\r\n') or b'\r' in line[:-2]:
                self.peer.faults.append(line)
            if line == b'.\r\n':
                break
            data.append(line[1:] if line.startswith(b'.') else line)
            self.peer.octets += len(line)
            if self.peer.slow:
                time.sleep(self.peer.slow)
        data = b''.join(data)
        for to in self.to:
            said = self.ask('final', to)
            if isinstance(said, str) and said[0] == '2':
                with self.peer.lock:
                    self.peer.messages.append(Message(self.sender, to, data))
            self.say(said)
        self.peer.count += 1


class LmtpPeer:
    def __init__(self, path=None, mode=0o666):
        self.path, self.mode = path, mode
        self.lock = threading.Lock()
        self.messages, self.faults, self.sessions = [], [], []
        self.open = self.most = self.count = self.octets = self.connects = 0
        self.close_after = None  # octets of a session, then it closes
        self.slow = 0
        self.answer = {
            'greeting': lambda s, a: '220 lda.test LMTP',
            'lhlo': lambda s, a: '250-lda.test\n250-PIPELINING\n250-8BITMIME\n250 ENHANCEDSTATUSCODES',
            'mail': lambda s, a: OK,
            'rcpt': lambda s, a: OK,
            'data': lambda s, a: '354 go on',
            'final': lambda s, a: f'250 2.0.0 <{a}> saved',
            'rset': lambda s, a: OK,
        }
        self.listener, self.port, self.holder = None, 0, None

    def bound(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', self.port))
        return s

    def listen(self):
        if self.path:
            if os.path.exists(self.path):
                os.unlink(self.path)
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            os.chmod(self.path, self.mode)
        else:
            if not self.holder:
                # Whenever nobody listens, the port is still ours: no other program is given it.
                self.holder = self.bound()
                self.port = self.holder.getsockname()[1]
            self.listener = self.bound()
        self.listener.listen(100)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    @property
    def where(self):
        return f'unix:{self.path}' if self.path else f'127.0.0.1:{self.port}'

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connects += 1
                self.open += 1
                self.most = max(self.most, self.open)
                session = Session(self, sock, self.connects)
                self.sessions.append(session)
            session.start()

    def ended(self, session):
        with self.lock:
            self.open -= 1
            self.sessions.remove(session)

    def shut(self):
        """Nobody is let in any more; who is in stays."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.path:
            os.unlink(self.path)

    def kick(self):
        """Everybody out, without a word."""
        with self.lock:
            for s in self.sessions:
                with contextlib.suppress(OSError):
                    s.sock.shutdown(socket.SHUT_RDWR)

    def wait_messages(self, n, timeout=60):
        deadline = time.monotonic() + timeout
        while len(self.messages) < n:
            assert time.monotonic() < deadline, f'{len(self.messages)} of {n} messages came'
            time.sleep(0.01)
        return list(self.messages)

    def __enter__(self):
        return self.listen()

    def __exit__(self, *_):
        try:
            self.shut()
        except OSError:
            pass
        self.kick()
        if self.holder:
            self.holder.close()
            self.holder = None
