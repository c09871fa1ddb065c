"""postern send --test: a marked message goes out by a Postern, or by a server that does with it what it likes, and
is looked for in a real Dovecot."""
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest

from dovecot import Dovecot, server_config

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../system'))

from test_outbox import TlsPeer  # noqa: E402
from test_tls import make_certificate  # noqa: E402

PASSWORD = 'correct horse battery'
OK, REFUSED, USAGE, NO_SERVER, LATER = 0, 1, 2, 3, 75
JUNK = '\nnamespace inbox {\n  mailbox Filtered {\n    special_use = \\Junk\n    auto = create\n  }\n}\n'

# What servers far away would have put in front.
WAY = '''Received: from relay.test (relay.test [192.0.2.2])
\t(using TLSv1.2 with cipher X (256/256 bits)) by mx.test (Postfix) with ESMTPS id 2
\tfor <bob@example.org>; Sat, 21 Nov 2026 23:39:48 +0000
Authentication-Results: mx.test;
\tspf=pass smtp.mailfrom=example.org;
\tdkim=fail reason="body hash did not verify" header.d=example.org;
\tdmarc=none (p=NONE) header.from=example.org
Received: from \x1b[31mclient ([192.0.2.1]) by relay.test with ESMTPSA
\t(TLS TLSv1.3 Y) id 1; Sat, 21 Nov 2026 23:39:43 +0000
'''


@pytest.fixture(scope='module')
def pair(make_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp('imap')
    cert, key = make_certificate(folder, 'localhost', ['localhost'], 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
    with make_server(server_config()) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'postmaster'):
            s.account(f'{name}@example.org', PASSWORD)
        with Dovecot(s, extra=f'{JUNK}ssl_cert = <{cert}\nssl_key = <{key}\n') as d:
            d.cert = cert
            yield s, d


def pin_of(port):
    context = Dovecot.context()
    with socket.create_connection(('127.0.0.1', port)) as s, context.wrap_socket(s) as tls:
        return hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()


@pytest.fixture
def send(pair, tmp_path):
    s, d = pair
    secret = tmp_path / 'secret'
    secret.write_text(PASSWORD + '\n')
    env = {k: v for k, v in os.environ.items() if not k.startswith(('POSTERN_', 'XDG_'))}
    env.update(HOME=str(tmp_path), POSTERN_RUNTIME_DIR='/nonexistent', ASAN_OPTIONS='detect_leaks=0')

    def run(*args, status, imap='imaps', user='bob%40example.org', folder='', ca=True, password=str(secret)):
        more = ['--imap', f'{imap}://{user}@localhost:{d.port[imap]}{folder}', '--imap-password-file', password] if imap else []
        p = subprocess.run([s.binary, 'send', '--test', *args, *more, *(['--ca-file', d.cert] if ca else [])],
                           capture_output=True, text=True, timeout=120, env=env)
        assert PASSWORD not in p.stdout + p.stderr
        assert p.returncode == status, (p.returncode, p.stdout, p.stderr)
        return p.stdout, p.stderr
    run.secret = str(secret)
    return run


def by_postern(s, send, user='ann%40example.org'):
    port = s.port['submissions']
    return ['--url', f'smtps://{user}@127.0.0.1:{port}', '--password-file', send.secret, '--pin', pin_of(port)]


class Elsewhere(TlsPeer):
    """Takes the message, and puts it where the test wants it."""

    def __init__(self, folder, dovecot, mailbox):
        super().__init__(folder)
        self.answer['final'] = self.deliver
        self.dovecot, self.mailbox = dovecot, mailbox

    def deliver(self, session, data):
        if self.mailbox:
            c = self.dovecot.imap()
            c.login('bob@example.org', PASSWORD)
            assert c.append(self.mailbox, None, None, WAY.replace('\n', '\r\n').encode() + data)[0] == 'OK'
            c.logout()
        return '250 2.0.0 taken'

    def args(self):
        return ['--url', f'smtps://127.0.0.1:{self.port}', '--pin', self.pin, '--from', 'ann@example.org',
                '--to', 'bob@example.org']


def test_it_arrives(pair, send):
    s, d = pair
    out, err = send(*by_postern(s, send), '--to', 'bob@example.org', '--json', status=OK)
    j = json.loads(out)
    test, (hop,) = j['test'], j['test']['hops']
    assert j['sent'] and j['exit'] == OK and test['arrived'] and test['folder'] == 'INBOX' and not test['junk']
    assert (hop['by'], hop['with'], hop['ip'], hop['tls']) == ('mx.example.org', 'ESMTPSA', '127.0.0.1', 'TLS 1.3')
    assert test['authentication'] == [] and abs(hop['time'] - time.time() * 1000) < 120_000
    text = next(m for m in d.messages_imap('bob@example.org', PASSWORD) if test['mark'].encode() in m).decode()
    assert re.search(rf'^Message-ID: <{test["mark"]}@example\.org>', text, re.M) and test['message_id'] in text
    assert f'Subject: Postern test {test["mark"]}' in text and 'it may be deleted' in text


@pytest.mark.parametrize('imap', ['imaps', 'imap'])
def test_in_words(pair, send, imap):
    s, d = pair
    out, err = send(*by_postern(s, send), '--to', 'bob@example.org', imap=imap, folder='/INBOX', status=OK)
    assert 'It came, it is in INBOX' in out and '1  mx.example.org, from' in out and 'ESMTPSA, TLS 1.3' in out
    assert 'SPF, DKIM and DMARC' in out


def test_to_oneself_with_one_password(pair, send):
    """Without --to and a second password, as people have it at their provider."""
    s, d = pair
    out, err = send(*by_postern(s, send, 'bob%40example.org'), '--imap', f'imaps://bob%40example.org@localhost:{d.port["imaps"]}',
                    imap=None, status=OK)
    assert 'It came' in out


def test_in_the_junk_folder(pair, send, tmp_path):
    s, d = pair
    with Elsewhere(tmp_path, d, 'Filtered') as peer:
        out, err = send(*peer.args(), status=REFUSED)
        assert 'It came as SPAM, it is in Filtered' in out
        assert '1  relay.test, from ?[31mclient (192.0.2.1), ESMTPSA, TLS 1.3' in out and '\x1b' not in out
        assert '2  mx.test, from relay.test (192.0.2.2), ESMTPS, TLS 1.2' in out and 'after 5s' in out
        assert 'What mx.test found out' in out
        assert 'SPF pass: the server that brought it may send for example.org' in out
        assert 'DKIM fail: the signature by example.org does not hold (body hash did not verify)' in out
        assert 'DMARC none: example.org has no DMARC policy' in out
        j = json.loads(send(*peer.args(), '--json', status=REFUSED)[0])['test']
        assert j['junk'] and j['folder'] == 'Filtered' and [h.get('delay_s') for h in j['hops']] == [None, 5]
        assert [(c['method'], c['result']) for c in j['authentication']] == [('spf', 'pass'), ('dkim', 'fail'), ('dmarc', 'none')]


def test_it_never_comes(pair, send, tmp_path):
    s, d = pair
    with Elsewhere(tmp_path, d, None) as peer:
        begin = time.monotonic()
        out, err = send(*peer.args(), '--wait', '3', status=LATER)
        assert 'did not come within 3 s' in err and time.monotonic() - begin > 2.5
        j = json.loads(send(*peer.args(), '--wait', '0', '--json', status=LATER)[0])
        assert j['sent'] and not j['test']['arrived'] and j['test']['folder'] is None


def test_nothing_is_sent_where_the_mailbox_cannot_be_opened(pair, send, tmp_path):
    s, d = pair
    wrong = tmp_path / 'wrong'
    wrong.write_text('not this\n')
    with Elsewhere(tmp_path, d, None) as peer:
        assert 'correct the user' in send(*peer.args(), password=str(wrong), status=REFUSED)[1]
        # A certificate that nobody vouches for, and a folder that is not there.
        assert '--ca-file' in send(*peer.args(), ca=False, status=REFUSED)[1]
        assert peer.connects == 0


def test_a_folder_that_is_not_there(pair, send, tmp_path):
    s, d = pair
    with Elsewhere(tmp_path, d, None) as peer:
        out, err = send(*peer.args(), folder='/No%20such', status=REFUSED)
        assert 'IMAP' in err


def test_without_a_mailbox(pair, send):
    s, d = pair
    out, err = send(*by_postern(s, send), '--to', 'bob@example.org', imap=None, status=OK)
    assert re.search(r'Postern test t\w{19}', out) and '--imap' in out and 'bob@example.org' in out


@pytest.mark.parametrize('args, words', [
    (['--imap', 'pop3://x@y'], 'imaps://'),
    (['--imap', 'imaps://localhost'], 'as whom'),
    (['--imap', 'imaps://bob:secret@localhost'], 'password'),
    (['--subject', 'x'], '--test makes its message itself'),
])
def test_words(pair, send, args, words):
    s, d = pair
    out, err = send(*by_postern(s, send), '--to', 'bob@example.org', *args, imap=None, status=USAGE)
    assert words in err
