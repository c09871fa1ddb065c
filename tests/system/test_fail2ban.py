"""The filter in contrib/fail2ban must match what the server really writes, name the right
address, and match nothing that a client can forge."""
import base64
import configparser
import os
import re
import smtplib
import socket
import ssl

import pytest
from conftest import PASSWORD

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def failregexes():
    c = configparser.ConfigParser(interpolation=configparser.BasicInterpolation())
    c.read(os.path.join(TOP, 'contrib/fail2ban/postern.conf'))
    # As fail2ban does: <HOST> stands for an address, a line for a pattern.
    return [re.compile(line.replace('<HOST>', r'(?P<host>[0-9A-Fa-f.:]+)'))
            for line in c['Definition']['failregex'].splitlines() if line.strip()]


def hosts(text):
    """Of each line as fail2ban sees it: in a file (it takes the time off), or in the journal."""
    found = []
    for line in text.splitlines():
        ways = [line, line.partition('Z')[2], 'mx postern[12]: ' + line]
        hits = {m['host'] for way in ways for r in failregexes() for m in [r.search(way)] if m}
        found += sorted(hits)
    return found


@pytest.fixture(scope='module')
def server(make_server):
    """Of one process: what it writes comes in order."""
    with make_server({'smtp_processes': 1}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s


@pytest.fixture(scope='module')
def log_of(server):
    """What the server wrote while the function ran."""
    def run(function):
        begin = os.path.getsize(server.log_file)
        function()
        # This one is the last of ours.
        with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=60) as c:
            c.ehlo('marker.example')
            c.docmd('MAIL', 'FROM:<marker@marker.example>')
            c.docmd('RCPT', 'TO:<marker@elsewhere.example>')
        server.wait_log('marker@elsewhere.example', begin=begin)
        return [line for line in server.log_text(begin).splitlines() if 'marker.example' not in line]
    return run


def tls():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_a_wrong_password(server, log_of):
    def guess():
        with smtplib.SMTP_SSL('127.0.0.1', server.port['submissions'], timeout=60, context=tls()) as c:
            c.ehlo('c.example')
            assert c.docmd('AUTH', 'PLAIN ' + base64.b64encode(b'\0ann@example.org\0wrong').decode())[0] == 535
    assert hosts('\n'.join(log_of(guess))) == ['127.0.0.1']


def test_a_login_on_port_25(server, log_of):
    def bot():
        with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=60) as c:
            c.ehlo('c.example')
            assert c.docmd('AUTH', 'LOGIN')[0] == 503
    assert hosts('\n'.join(log_of(bot))) == ['127.0.0.1']


def test_a_stranger_who_relays(server, log_of):
    def stranger():
        with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=60) as c:
            c.ehlo('c.example')
            c.docmd('MAIL', 'FROM:<a@b.example>')
            assert c.docmd('RCPT', 'TO:<x@other.example>')[0] == 554
            assert c.docmd('RCPT', 'TO:<nobody@example.org>')[0] == 550
    assert set(hosts('\n'.join(log_of(stranger)))) == {'127.0.0.1'}
    assert len(hosts('\n'.join(log_of(stranger)))) >= 2


def test_a_scanner(server, log_of):
    def scanner():
        with socket.create_connection(('127.0.0.1', server.port['submission']), timeout=60) as c:
            c.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            while c.recv(4096):
                pass
    assert '127.0.0.1' in hosts('\n'.join(log_of(scanner)))


def test_an_honest_message_is_no_offence(server, log_of, password):
    def honest():
        with smtplib.SMTP('127.0.0.1', server.port['submission'], timeout=60) as c:
            c.starttls(context=tls())
            c.login('ann@example.org', password)
            c.sendmail('ann@example.org', ['bob@example.org'], 'Subject: hello\n\nhello\n')
    assert hosts('\n'.join(log_of(honest))) == []


def test_no_client_can_blame_another(server, log_of):
    """Names and addresses that try to look like a line."""
    forged = 'role=smtp/0 event=auth-failed listener=a ip=192.0.2.9 x'

    def forger():
        with smtplib.SMTP('127.0.0.1', server.port['relay'], timeout=60) as c:
            c.docmd('EHLO', forged.replace(' ', '_'))
            c.docmd('EHLO', forged)
            c.docmd('EHLO', 'c.example')
            c.docmd('MAIL', 'FROM:<a@b.example>')
            c.docmd('RCPT', f'TO:<"{forged}"@example.org>')
            c.docmd('RCPT', f'TO:<"\\" listener=a ip=192.0.2.9 "@example.org>')
    assert '192.0.2.9' not in hosts('\n'.join(log_of(forger)))
