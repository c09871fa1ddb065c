"""What a client asks for with a message: when it goes, how urgent it is, how safe its way must be."""
import time
import pytest
from raw import Raw

ANN, BOB = 'ann@example.org', 'bob@example.org'


def submit(server, password, wish, subject, header='', begins='250 2.1.0'):
    with Raw(server.port['submissions'], tls=True, greeting=220) as c:
        c.login(ANN, password)
        c.say(f'MAIL FROM:<{ANN}> {wish}'.rstrip(), begins)
        c.say(f'RCPT TO:<{BOB}>', 250)
        c.say('DATA', 354)
        return c.say(f'Subject: {subject}\r\n{header}\r\nhello\r\n.', '250 2.0.0 queued as ').split()[-1]


@pytest.mark.parametrize('wish', [
    'HOLDFOR=3',
    'HOLDUNTIL',
])
def test_a_message_is_held_as_long_as_its_sender_asked(server, password, wish):
    if wish == 'HOLDUNTIL':
        wish += time.strftime('=%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + 4))
    begin = time.time()
    name = wish.split('=')[0]
    held, at_once = f'Subject: held {name}'.encode(), f'Subject: at once {name}'.encode()
    submit(server, password, wish, f'held {name}')
    submit(server, password, '', f'at once {name}')
    server.wait_message(BOB, at_once)
    assert not any(held in m for m in server.messages(BOB))
    server.wait_message(BOB, held)
    assert time.time() - begin > 2.5


def test_what_requires_tls_may_come_to_a_mailbox(server, password):
    submit(server, password, 'REQUIRETLS MT-PRIORITY=-9', 'safe', 'TLS-Required: No\r\n')
    assert b'TLS-Required: No\r\n' in server.wait_message(BOB, b'Subject: safe').replace(b'\n', b'\r\n').replace(b'\r\r', b'\r')
