"""Mail by a smart host that wants a login: the password from a file or a command, STARTTLS, and what is
never sent. The smart host is a thread on an address of loopback of its own, at the real port 587."""
import base64
import os
import random
import smtplib
import socket
import ssl
import threading
import time

import pytest
from server import PATIENCE
from test_tls import make_certificate

SECRET = 'a secret of the smart host'


class SmartHost:
    """Offers AUTH PLAIN after STARTTLS (unless `bare`: then without, and no STARTTLS), and writes down what is said."""

    def __init__(self, folder):
        self.address = f'127.{random.randrange(16, 63)}.{random.randrange(256)}.{random.randrange(1, 255)}'
        try:
            self.socket = socket.create_server((self.address, 587))
        except PermissionError:
            pytest.skip('port 587 is for root')
        cert, key = make_certificate(folder, 'smart', ['smart.test'], 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        self.heard, self.mails, self.bare = [], [], False
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.talk(connection)
        except OSError:
            pass

    def talk(self, connection):
        file, tls, body = connection.makefile('rwb'), False, b''
        wanted = b'AUTH PLAIN ' + base64.b64encode(b'\0us\0' + SECRET.encode())

        def say(*lines):
            file.write(b''.join(line.encode() + b'\r\n' for line in lines))
            file.flush()

        say('220 smart.test')
        while line := file.readline().strip():
            self.heard.append(line)
            verb = line[:4].upper()
            if verb == b'EHLO':
                say('250-smart.test', '250 AUTH PLAIN' if tls or self.bare else '250 STARTTLS')
            elif verb == b'STAR':
                say('220 go ahead')
                connection, tls = self.context.wrap_socket(connection, server_side=True), True
                file = connection.makefile('rwb')
            elif verb == b'AUTH':
                say('235 welcome' if line == wanted else '535 5.7.8 no')
            elif verb == b'DATA':
                say('354 go ahead')
                while (part := file.readline()) not in (b'.\r\n', b''):
                    body += part
                self.mails.append(body)
                say('250 2.0.0 taken')
            else:
                say('221 bye' if verb == b'QUIT' else '250 fine')

    def close(self):
        self.socket.close()


@pytest.fixture
def smart(tmp_path):
    host = SmartHost(tmp_path)
    yield host
    host.close()


def config(smart, **route):
    return {'smtp_processes': 1, 'listeners': {'relay': {'relay_from': ['127.0.0.1']}},
            'routes': {'out': {'to': '*', 'via': 'smarthost', 'hosts': [smart.address], 'tls': 'require', 'user': 'us',
                               **route}}}


def send(server):
    with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=PATIENCE) as c:
        c.sendmail('a@us.test', ['b@there.test'], 'Subject: x\r\n\r\nhello\r\n')


def eventually(what, seconds=2 * PATIENCE):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


def log(server):
    with open(server.log_file, encoding='utf-8', errors='replace') as f:
        return f.read()


def program(tmp_path, text):
    path = tmp_path / 'password'
    path.write_text('#!/bin/sh\n' + text)
    os.chmod(path, 0o700)
    return str(path)


def test_password_from_a_file(make_server, smart, tmp_path):
    path = tmp_path / 'secret'
    path.write_text(SECRET + '\nnot this line\n')
    os.chmod(path, 0o600)
    with make_server(config(smart, password_file=str(path))) as server:
        send(server)
        assert eventually(lambda: smart.mails)
        assert b'hello' in smart.mails[0]
        assert eventually(lambda: 'event=relayed' in log(server))
        assert SECRET not in log(server)


def test_password_from_a_command(make_server, smart, tmp_path):
    path = program(tmp_path, 'echo "$1"\n')
    with make_server(config(smart, password_command=[path, SECRET])) as server:
        send(server)
        assert eventually(lambda: smart.mails)


@pytest.mark.parametrize('text, why', [('exit 3\n', 'failed with status 3'), ('', 'wrote nothing'),
                                       ('head -c 100000 /dev/zero\n', 'wrote more than')])
def test_a_command_that_fails(make_server, smart, tmp_path, text, why):
    with make_server(config(smart, password_command=[program(tmp_path, text)])) as server:
        assert eventually(lambda: why in log(server))
        send(server)
        assert eventually(lambda: 'there is no password to log in with' in log(server))
        assert not smart.mails and not any(line.startswith((b'AUTH', b'MAIL')) for line in smart.heard)


def test_a_reload_reads_it_anew(make_server, smart, tmp_path):
    path = tmp_path / 'secret'
    path.write_text('wrong')
    os.chmod(path, 0o600)
    with make_server(config(smart, password_file=str(path))) as server:
        send(server)
        assert eventually(lambda: '535 5.7.8 no' in log(server))
        assert not smart.mails
        path.write_text(SECRET)
        server.cli('reload')


        def retried():
            """While it is under way, what is said of it comes to nothing."""
            server.cli('queue', 'retry', '--all', check=False)
            return smart.mails
        assert eventually(retried)


def test_never_in_clear(make_server, smart, tmp_path):
    path = tmp_path / 'secret'
    path.write_text(SECRET)
    os.chmod(path, 0o600)
    smart.bare = True
    with make_server(config(smart, password_file=str(path))) as server:
        send(server)
        assert eventually(lambda: 'event=starttls-missing' in log(server))
        time.sleep(0.5)
        assert not any(line.startswith((b'AUTH', b'MAIL')) for line in smart.heard)
        assert log(server).count('event=starttls-missing') == 1
