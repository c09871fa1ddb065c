"""What each client does, and shows its user, when it comes to the wrong port or in the
wrong way.  A change in these tables is news: a client's new version shows more or less."""
import re
import time

import pytest

from clients import CLIENTS
from words import BODY, PASSWORD, body_of, subject_of

# Which clients let their user see the server's explanation.  curl says only which
# code it was unless -v is given, and s_client -starttls drops what is not a 220.
SEES = {
    'python': True,
    'curl': False,
    'curl -v': True,
    'swaks': True,
    'msmtp': True,
    'nodemailer': True,
    's-nail': True,
    'git send-email': False,  # Net::SMTP keeps it to itself
    'php': True,
    's_client': False,
}


def flat(text):
    """Some clients break lines, or repeat the code before each."""
    return re.sub(r'\s+', ' ', text)


def check(shown, name, words, sees=SEES):
    assert shown.status != 0, f'{name} took it for a success:\n{shown.text}'
    if sees[name]:
        assert words in flat(shown.text), f'{name} showed:\n{shown.text}'
    else:
        assert words not in flat(shown.text), f'{name} shows it now: say so in the table\n{shown.text}'


# --- plain SMTP on 465: silence first, then 554 in clear text ---------------------------


@pytest.fixture(scope='module')
def plain_on_implicit(server, all_clients):
    return all_clients(server.port['submissions'], 'starttls', 'plain465')


@pytest.mark.parametrize('client', CLIENTS)
def test_plain_on_implicit(server, plain_on_implicit, client):
    port = server.port['submissions']
    check(plain_on_implicit[client], client, f'port {port} needs TLS from the first byte: set the connection security to SSL/TLS')


# --- TLS first on 587 and 2525: the mail gets through ------------------------------------


# Ten clients at once on a machine with other work: one needs longer than usual to say hello.
PATIENT = {'listeners': {name: {'greeting_hold': '10s'} for name in ('submission', 'fallback')}}


@pytest.fixture(scope='module', params=['submission', 'fallback'])
def tls_first(request, make_server, all_clients):
    """A server that knows no address yet: it would not hold the greeting for one that
    came in the right way before."""
    with make_server(PATIENT) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', PASSWORD)
        yield s, all_clients(s.port[request.param], 'tls', f'tls-{request.param}')


@pytest.mark.parametrize('client', CLIENTS)
def test_tls_first_is_served(tls_first, client, request):
    s, shown = tls_first
    listener = request.node.callspec.params['tls_first']
    assert shown[client].status == 0, shown[client].text
    message = s.wait_message('bob@example.org', f'Subject: {subject_of("tls-" + listener, client)}\n'.encode())
    assert body_of(message) == BODY


# --- TLS first on 587 with wrong_port: explain -------------------------------------------


@pytest.fixture(scope='module')
def tls_explained(make_server, all_clients):
    with make_server({'listeners': {'submission': {'wrong_port': 'explain', 'greeting_hold': '10s'}}}) as s:
        yield s, all_clients(s.port['submission'], 'tls', 'explain587')


@pytest.mark.parametrize('client', CLIENTS)
def test_tls_first_is_explained(tls_explained, client):
    s, shown = tls_explained
    # Inside TLS s_client shows all that comes.
    check(shown[client], client, f'port {s.port["submission"]} starts without TLS: set the connection security to STARTTLS',
          {**SEES, 's_client': True})


# --- AUTH on 25 --------------------------------------------------------------------------

# What each shows when it wants to log in where AUTH is not offered.  Those that ask
# for it all the same get the server's advice; the others say it in their own words.
ADVICE = 'no login on this port, it is for servers: to send mail use'
AUTH_ON_RELAY = {
    'python': 'SMTP AUTH extension not supported by server',
    'curl': None,  # goes on without AUTH, and is one of many servers then
    'curl -v': None,
    'swaks': 'Host did not advertise authentication',
    'msmtp': 'the server does not support authentication',
    'nodemailer': None,
    's-nail': ADVICE,
    'git send-email': 'Command unknown',
    'php': ADVICE,
    's_client': ADVICE,
}


@pytest.fixture(scope='module')
def auth_on_relay(server, all_clients):
    return all_clients(server.port['relay'], 'starttls', 'auth25')


@pytest.mark.parametrize('client', CLIENTS)
def test_auth_on_relay(server, auth_on_relay, client):
    shown, words = auth_on_relay[client], AUTH_ON_RELAY[client]
    if words is None:
        # To our own domain that is a stranger's mail, and welcome.
        assert shown.status == 0, shown.text
        server.wait_message('bob@example.org', f'Subject: {subject_of("auth25", client)}\n'.encode())
    else:
        assert shown.status != 0
        assert words in flat(shown.text), shown.text


# --- a step left out on 587 ----------------------------------------------------------------

ENCRYPT = 'encryption is missing: set the connection security to STARTTLS'
LOG_IN = 'log in first: switch on authentication for outgoing mail (user name and password)'
MISSING = {  # what is left out: tls, auth, and what each client then shows
    'encryption': ('none', True, {
        'python': 'SMTP AUTH extension not supported by server',
        'curl': 'MAIL failed: 530',
        'curl -v': ENCRYPT,
        'swaks': 'Host did not advertise authentication',
        'msmtp': 'the server does not support authentication',
        'nodemailer': ENCRYPT,
        's-nail': 'no login without encryption: set the connection security to STARTTLS',
        'git send-email': 'Command unknown',
        # It sent the password without having been asked for it.
        'php': 'your password was sent unencrypted, change it; then set the connection security to STARTTLS',
    }),
    'login': ('starttls', False, {**{name: LOG_IN for name in CLIENTS}, 'curl': 'MAIL failed: 530'}),
    'both': ('none', False, {**{name: ENCRYPT for name in CLIENTS if name != 's_client'}, 'curl': 'MAIL failed: 530'}),
}


@pytest.fixture(scope='module')
def missing(server, all_clients):
    return {what: all_clients(server.port['submission'], tls, f'without-{what}', auth=auth)
            for what, (tls, auth, _) in MISSING.items()}


@pytest.mark.parametrize('what, client', [(what, client) for what in MISSING for client in MISSING[what][2]])
def test_missing_step(missing, what, client):
    shown = missing[what][client]
    assert shown.status != 0
    assert MISSING[what][2][client] in flat(shown.text), shown.text


# --- and the administrator sees who they were ----------------------------------------------


def test_status_lists_the_clients(server, plain_on_implicit, auth_on_relay):
    deadline = time.monotonic() + 60
    while True:  # the ledger hears of them in its own time
        kinds = {row['kind']: row for row in server.json('status', '--clients')}
        if 'auth-on-relay' in kinds and kinds.get('silent-on-implicit', {'count': 0})['count'] >= 5:
            break
        assert time.monotonic() < deadline, kinds
        time.sleep(0.1)
    row = kinds['silent-on-implicit']
    assert row['ip'] == '127.0.0.1' and row['listener'] == 'submissions'
    assert f'port {server.port["submissions"]}' in row['advice']
    text = server.cli('status', '--clients').stdout
    assert row['advice'] in text and '127.0.0.1' in text
