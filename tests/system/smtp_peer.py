"""An SMTP server that behaves as a test tells it to: right, wrong, slow, or dying at any octet.

    with SmtpPeer() as peer:
        peer.answer['rcpt'] = '452 4.2.2 full'
        peer.close_after = 40                    # octets of each session, then it closes
        peer.taken                               # {subject: how often it was answered 250}

An answer is a text (its lines are ended), bytes (sent as they are), None (says nothing any more), CLOSE or
RESET, or a function of the session and the line that gives one of these.
"""
import collections
import contextlib
import re
import socket
import struct
import threading
import time

OK = '250 2.0.0 OK'
CLOSE, RESET = object(), object()
RIGHT = {
    'greeting': '220 peer.test ESMTP',
    'ehlo': '250-peer.test\n250-PIPELINING\n250-8BITMIME\n250 ENHANCEDSTATUSCODES',
    'helo': '250 peer.test',
    'mail': OK, 'rcpt': OK, 'data': '354 go on', 'final': '250 2.0.0 taken', 'rset': OK, 'quit': '221 2.0.0 bye',
}


class Over(Exception):
    pass


class Session:
    def __init__(self, peer, sock):
        self.peer, self.sock, self.sent, self.to, self.mail = peer, sock, 0, [], False
        self.file = sock.makefile('rb')
        self.began = time.monotonic()

    def say(self, what):
        if what is CLOSE:
            raise Over
        if what is RESET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            raise Over
        if what is None:
            self.hang()
        if isinstance(what, str):
            what = what.replace('\n', '\r\n').encode() + b'\r\n'
        cut = self.peer.cut_after
        end = cut is not None and self.sent + len(what) >= cut
        if end:
            what = what[:max(0, cut - self.sent)]
        if self.peer.drip:
            for i in range(len(what)):
                self.sock.sendall(what[i:i + 1])
                time.sleep(self.peer.drip)
        elif what:
            self.sock.sendall(what)
        self.sent += len(what)
        if end:
            self.at_cut()

    def at_cut(self):
        if self.peer.then == 'hang':
            self.hang()
        self.say(self.peer.then)

    def hang(self):
        while self.file.readline():  # until it is we who are hung up on
            pass
        raise Over

    def ask(self, step, argument=b''):
        what = self.peer.answer[step]
        return what(self, argument) if callable(what) else what

    def run(self):
        try:
            self.say(self.ask('greeting'))
            while True:
                line = self.file.readline()
                if not line:
                    return
                self.command(line)
        except (Over, OSError):
            pass
        finally:
            self.peer.ended(self)
            with contextlib.suppress(OSError):
                self.file.close()
                self.sock.close()

    def command(self, line):
        verb = re.split(rb'[ :\r\n]', line.lower(), maxsplit=1)[0].decode(errors='replace')
        if verb == 'data':
            if not self.to:
                self.say('503 5.5.1 no recipients')
                return
            said = self.ask('data', line)
            self.say(said)
            if isinstance(said, str) and said.startswith('354'):
                self.body()
            return
        said = self.ask(verb, line) if verb in self.peer.answer else '500 5.5.2 what?'
        yes = isinstance(said, str) and said.startswith('2')
        if verb == 'mail':
            self.to, self.mail = [], yes
        elif verb == 'rcpt' and not self.mail:
            said = '503 5.5.1 no sender'
        elif verb == 'rcpt' and yes:
            self.to.append(line[line.index(b'<') + 1:line.index(b'>')].decode())
        self.say(said)
        if verb == 'quit':
            raise Over

    def body(self):
        data = []
        while True:
            line = self.file.readline()
            if not line:
                return  # no dot: nobody has taken anything
            if line == b'.\r\n':
                break
            data.append(line)
        data = b''.join(data)
        said = self.ask('final', data)
        if isinstance(said, str) and said.startswith('2'):
            self.peer.take(self, data)
        self.to = []
        self.say(said)


class SmtpPeer:
    def __init__(self, address='127.0.0.1'):
        self.address, self.port, self.holder = address, 0, None
        self.lock = threading.Lock()
        self.answer = dict(RIGHT)
        self.cut_after, self.then, self.drip = None, CLOSE, 0
        self.taken = collections.Counter()  # (subject, recipient)
        self.sessions, self.connects, self.most, self.lasted = set(), 0, 0, []

    def right(self):
        """It behaves again."""
        self.answer = dict(RIGHT)
        self.cut_after, self.then, self.drip = None, CLOSE, 0

    def take(self, session, data):
        subject = re.search(rb'^Subject: (\S+)', data, re.M).group(1).decode()
        with self.lock:
            for to in session.to:
                self.taken[subject, to] += 1

    def bound(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((self.address, self.port))
        return s

    def listen(self):
        if not self.holder:
            # Whenever nobody listens, the port is still ours: no other program is given it.
            self.holder = self.bound()
            self.port = self.holder.getsockname()[1]
        self.listener = self.bound()
        self.listener.listen(200)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            session = Session(self, sock)
            with self.lock:
                self.connects += 1
                self.sessions.add(session)
                self.most = max(self.most, len(self.sessions))
            threading.Thread(target=session.run, daemon=True).start()

    def ended(self, session):
        with self.lock:
            self.sessions.discard(session)
            self.lasted.append(time.monotonic() - session.began)

    def shut(self):
        """Nobody is let in any more; who is in stays."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def kick(self):
        """Everybody out, without a word."""
        with self.lock:
            for s in self.sessions:
                with contextlib.suppress(OSError):
                    s.sock.shutdown(socket.SHUT_RDWR)

    def wait_gone(self, timeout=60):
        """Until nobody is connected any more."""
        deadline = time.monotonic() + timeout
        while self.sessions:
            assert time.monotonic() < deadline, f'{len(self.sessions)} sessions are still there'
            time.sleep(0.01)

    def __enter__(self):
        return self.listen()

    def __exit__(self, *_):
        self.shut()
        self.kick()
        if self.holder:
            self.holder.close()
            self.holder = None
