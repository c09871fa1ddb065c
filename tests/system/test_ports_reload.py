"""A reload takes a listener away, and later gives it back: every session on it goes on as it began."""
import base64

import pytest
from raw import PASSWORD, Raw

ANN, BOB = 'ann@example.org', 'bob@example.org'


def b64(text):
    return base64.b64encode(text.encode()).decode()


def end(c):
    return c.say('Subject: reloaded\r\n\r\nx\r\n.', '250 2.0.0')


def data(c):
    c.say('DATA', 354)
    end(c)


def rcpt(c):
    c.say(f'RCPT TO:<{BOB}>', 250)
    data(c)


def mail(c):
    c.say(f'MAIL FROM:<{ANN}>', 250)
    rcpt(c)


def login(c):
    c.say(b64(ANN), 334)
    c.say(b64(PASSWORD), 235)
    mail(c)


def chunk(c):
    c.send('BDAT 14 LAST\r\noaded\r\n\r\nlast.')
    c.expect('250 2.0.0')


# What was said before the reload (code by code), and how it goes on.
STATES = [
    (['AUTH LOGIN 334'], login),
    (['LOGIN'], mail),
    (['LOGIN', f'MAIL FROM:<{ANN}> 250'], rcpt),
    (['LOGIN', f'MAIL FROM:<{ANN}> 250', f'RCPT TO:<{BOB}> 250'], data),
    (['LOGIN', f'MAIL FROM:<{ANN}> 250', f'RCPT TO:<{BOB}> 250', 'DATA 354'], end),
    (['LOGIN', f'MAIL FROM:<{ANN}> 250', f'RCPT TO:<{BOB}> 250', 'BDAT 12\r\nSubject: rel 250'], chunk),
]


def begin(port, says):
    c = Raw(port, greeting=220).starttls()
    c.ehlo()
    for what in says:
        line, _, code = what.rpartition(' ')
        if what == 'LOGIN':
            c.login(ANN, PASSWORD)
        elif line.startswith('BDAT'):
            c.send(line)
            c.expect(code)
        else:
            c.say(line, code)
    return c


def test_sessions_outlive_their_listener(make_server):
    with make_server({'smtp_processes': 1}) as s:
        s.cli('domain', 'add', 'example.org')
        for name in (ANN, BOB):
            s.account(name, PASSWORD)
        port = s.port['fallback']
        sessions = [(begin(port, says), go_on) for says, go_on in STATES]
        in_handshake = Raw(port, greeting=220)
        in_handshake.ehlo()
        in_handshake.say('STARTTLS', 220)
        half_a_hello = Raw(port)
        half_a_hello.send(b'\x16\x03\x01\x02')
        s.config['listeners']['fallback']['enabled'] = False
        s.write_config()
        s.cli('reload')
        with pytest.raises(ConnectionRefusedError):
            Raw(port)
        in_handshake.tls()
        in_handshake.login(ANN, PASSWORD)
        for c, go_on in sessions[:4]:
            go_on(c)
            c.sock.close()
        s.config['listeners']['fallback']['enabled'] = True
        s.write_config()
        s.cli('reload')
        for c, go_on in sessions[4:]:
            go_on(c)
            c.sock.close()
        half_a_hello.sock.close()
        in_handshake.sock.close()
        for on in (False, True) * 3:
            s.config['listeners']['fallback']['enabled'] = on
            s.write_config()
            s.cli('reload')
        with begin(port, ['LOGIN']) as c:
            mail(c)
        s.cli('status')
        for word in ('Sanitizer', 'runtime error', 'event=role-died'):
            assert word not in s.log_text()
        s.wait_message(BOB, b'Subject: reloaded\n\nlast.')
