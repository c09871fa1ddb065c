"""What each of the four ports offers and to whom: the listener table."""
import pytest
from raw import Raw

ALWAYS = {'PIPELINING', 'SIZE', '8BITMIME', 'SMTPUTF8', 'CHUNKING', 'ENHANCEDSTATUSCODES', 'DSN', 'LIMITS', 'HELP'}
SUBMISSION = {'FUTURERELEASE', 'MT-PRIORITY'}
ANN = 'ann@example.org'


def open_port(server, name, ready=True):
    """A client as far as TLS goes on that port."""
    if name == 'submissions':
        return Raw(server.port[name], tls=True, greeting=220)
    c = Raw(server.port[name], greeting=220)
    return c.starttls() if ready else c


# port, state, what EHLO must name besides ALWAYS
@pytest.mark.parametrize('name,ready,more', [
    ('relay', False, {'STARTTLS'}),
    ('relay', True, {'REQUIRETLS'}),
    ('submissions', True, {'AUTH', 'REQUIRETLS'} | SUBMISSION),
    ('submission', False, {'STARTTLS'} | SUBMISSION),
    ('submission', True, {'AUTH', 'REQUIRETLS'} | SUBMISSION),
    ('fallback', False, {'STARTTLS'} | SUBMISSION),
    ('fallback', True, {'AUTH', 'REQUIRETLS'} | SUBMISSION),
])
def test_ehlo_names_what_this_port_does_now(server, name, ready, more):
    with open_port(server, name, ready) as c:
        assert set(c.ehlo()) == ALWAYS | more


@pytest.mark.parametrize('name', ['submissions', 'submission', 'fallback'])
def test_account_sends_anywhere(server, password, name):
    with open_port(server, name) as c:
        c.login(ANN, password)
        c.message(ANN, ['bob@example.org', 'x@elsewhere.test'], f'Subject: via {name}\n\nhello', '250 2.0.0 queued as ')
    m = server.wait_message('bob@example.org', f'Subject: via {name}'.encode())
    assert b' with ESMTPSA ' in m
    assert b'Return-Path: <ann@example.org>\r\n' in m or b'Return-Path: <ann@example.org>\n' in m


@pytest.mark.parametrize('name', ['submissions', 'submission', 'fallback'])
def test_nothing_without_login(server, name):
    with open_port(server, name) as c:
        c.ehlo()
        reply = c.say('MAIL FROM:<ann@example.org>', '530 5.7.0')
        assert 'log in' in reply
        c.say('RCPT TO:<bob@example.org>', 5)


@pytest.mark.parametrize('name', ['submissions', 'submission', 'fallback'])
def test_wrong_password(server, password, name):
    with open_port(server, name) as c:
        c.login(ANN, 'wrong', '535 5.7.8')
        c.login('nobody@example.org', 'wrong', '535 5.7.8')
        c.login(ANN, password)
    line = server.wait_log('event=auth-failed')
    assert 'ip=127.0.0.1' in line


@pytest.mark.parametrize('name', ['submissions', 'submission', 'fallback'])
def test_sender_must_be_its_own(server, password, name):
    with open_port(server, name) as c:
        c.login(ANN, password)
        reply = c.say('MAIL FROM:<bob@example.org>', '553 5.7.1')
        assert 'ann@example.org' in reply and '\n' not in reply
        c.say('MAIL FROM:<x@elsewhere.test>', '553 5.7.1')
        c.say('MAIL FROM:<>', 250)


@pytest.mark.parametrize('name', ['submission', 'fallback'])
@pytest.mark.parametrize('command', ['MAIL FROM:<ann@example.org>', 'AUTH LOGIN'])
def test_starttls_comes_first(server, name, command):
    with open_port(server, name, ready=False) as c:
        c.ehlo()
        assert 'STARTTLS' in c.say(command, '53')


def test_relay_takes_ours(server):
    with open_port(server, 'relay', ready=False) as c:
        c.ehlo()
        c.message('x@elsewhere.test', 'bob@example.org', 'Subject: from outside\n\nhello')
        c.say('QUIT', 221)
        assert c.at_end()
    assert b'with ESMTP id' in server.wait_message('bob@example.org', b'Subject: from outside')


def test_relay_refuses_strangers_mail_for_elsewhere(server):
    with open_port(server, 'relay', ready=False) as c:
        c.ehlo()
        c.say('MAIL FROM:<x@elsewhere.test>', 250)
        reply = c.say('RCPT TO:<y@elsewhere.test>', '554 5.7.1')
        assert 'relay denied' in reply and 'port' in reply and '\n' not in reply
        c.say('RCPT TO:<nobody@example.org>', '550 5.1.1')
        c.say('RCPT TO:<bob@example.org>', 250)


def test_relay_has_no_login(server):
    with open_port(server, 'relay') as c:
        assert 'AUTH' not in c.ehlo()
        reply = c.say('AUTH PLAIN AGFubgBwdw==', '503 5.5.1')
        assert f'port {server.port["submission"]}' in reply


def test_postmaster_needs_no_domain(server):
    with open_port(server, 'relay', ready=False) as c:
        c.ehlo()
        c.message('', 'Postmaster', 'Subject: to postmaster\n\nhello')
    server.wait_message('postmaster@example.org', b'Subject: to postmaster')


def test_relay_from(make_server):
    config = {'listeners': {'relay': {'relay_from': ['127.0.0.0/8']}}}
    with make_server(config) as s, Raw(s.port['relay'], greeting=220) as c:
        c.ehlo()
        c.message('x@elsewhere.test', 'y@elsewhere.test', 'Subject: trusted\n\nhello')


def test_one_mailbox_gets_one_copy(server):
    with open_port(server, 'relay', ready=False) as c:
        c.ehlo()
        c.message('x@elsewhere.test', ['bob@example.org', 'bob+list@example.org', 'BOB@example.org'],
                  'Subject: three times\n\nhello')
        c.message('x@elsewhere.test', 'bob@example.org', 'Subject: and then\n\nhello')
    server.wait_message('bob@example.org', b'Subject: and then')
    assert sum(b'Subject: three times' in m for m in server.messages('bob@example.org')) == 1


def test_submission_adds_what_is_missing(server, password):
    with open_port(server, 'submissions') as c:
        c.login(ANN, password)
        c.message(ANN, 'bob@example.org', 'Subject: bare\n\nhello')
        c.message(ANN, 'bob@example.org', 'Subject: full\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n'
                  'From: ann@example.org\nMessage-ID: <own@client.test>\n\nhello')
    bare = server.wait_message('bob@example.org', b'Subject: bare')
    assert bare.count(b'Date: ') == bare.count(b'Message-ID: <') == bare.count(b'From: ') == 1
    full = server.wait_message('bob@example.org', b'Subject: full')
    assert full.count(b'Date: ') == full.count(b'Message-ID: <') == full.count(b'From: ') == 1
    assert b'<own@client.test>' in full


def test_relay_adds_nothing_but_trace(server):
    with open_port(server, 'relay', ready=False) as c:
        c.ehlo()
        c.message('x@elsewhere.test', 'bob@example.org', 'Subject: untouched\n\nhello')
    m = server.wait_message('bob@example.org', b'Subject: untouched')
    assert b'\nMessage-ID:' not in m and b'\nDate:' not in m


def test_hops(server):
    with open_port(server, 'relay', ready=False) as c:
        c.ehlo()
        c.message('x@elsewhere.test', 'bob@example.org', 'Received: x\n' * 101 + 'Subject: round\n\nx', '554 5.4.6')
        c.message('x@elsewhere.test', 'bob@example.org', 'Received: x\n' * 99 + 'Subject: nearly\n\nx', 250)
