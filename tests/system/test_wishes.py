"""What a client asks for with a message: when it goes, how urgent it is, how safe its way must be."""
import json
import time

import pytest
from raw import Raw
from test_trace import wait_kinds

ANN, BOB = 'ann@example.org', 'bob@example.org'


def submit(server, password, wish, subject, header='', begins='250 2.1.0'):
    """wish: words, or what makes them when they are said."""
    with Raw(server.port['submissions'], tls=True, greeting=220) as c:
        c.login(ANN, password)
        c.say(f'MAIL FROM:<{ANN}> {wish() if callable(wish) else wish}'.rstrip(), begins)
        c.say(f'RCPT TO:<{BOB}>', 250)
        c.say('DATA', 354)
        return c.say(f'Subject: {subject}\r\n{header}\r\nhello\r\n.', '250 2.0.0 queued as ').split()[-1]


def times(server, ident):
    """When it was accepted and delivered, in seconds, as the server has it."""
    at = {e['kind']: e['time_ms'] / 1000 for e in wait_kinds(server, ident, 'accepted', 'delivered')['events']}
    return at['accepted'], at['delivered']


@pytest.mark.parametrize('name', ['HOLDFOR', 'HOLDUNTIL'])
def test_a_message_is_held_as_long_as_its_sender_asked(server, password, name):
    until = None

    def wish():
        nonlocal until
        until = int(time.time()) + 4
        return 'HOLDFOR=3' if name == 'HOLDFOR' else time.strftime('HOLDUNTIL=%Y-%m-%dT%H:%M:%SZ', time.gmtime(until))

    held, at_once = submit(server, password, wish, f'held {name}'), submit(server, password, '', f'at once {name}')
    shown = server.cli('queue', 'show', at_once, '--json', check=False)
    assert shown.returncode == 1 or not json.loads(shown.stdout).get('hold_until'), shown  # gone, or not held
    server.wait_message(BOB, f'Subject: at once {name}'.encode())
    server.wait_message(BOB, f'Subject: held {name}'.encode())
    accepted, delivered = times(server, held)
    assert delivered >= (accepted + 2.9 if name == 'HOLDFOR' else until)


def test_what_requires_tls_may_come_to_a_mailbox(server, password):
    submit(server, password, 'REQUIRETLS MT-PRIORITY=-9', 'safe', 'TLS-Required: No\r\n')
    assert b'TLS-Required: No\r\n' in server.wait_message(BOB, b'Subject: safe').replace(b'\n', b'\r\n').replace(b'\r\r', b'\r')
