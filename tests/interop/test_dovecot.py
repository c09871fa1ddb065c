"""Dovecot over mailboxes that Postern writes, with Postern's accounts; all of it as doc/dovecot.md says."""
import base64
import os
import re
import signal
import smtplib
import socket
import time

import pytest

from dovecot import Dovecot, server_config

PASSWORD = 'correct horse battery'
ANN, BOB = 'ann@example.org', 'bob@example.org'
WRONG = '[AUTHENTICATIONFAILED]'
LATER = '[UNAVAILABLE]'


@pytest.fixture(scope='module')
def pair(make_server):
    with make_server(server_config()) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'postmaster'):
            s.account(f'{name}@example.org', PASSWORD)
        with Dovecot(s) as d:
            yield s, d


def send(s, to, message, chunked=False):
    """Hands over a message from outside, exactly these octets."""
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=60) as c:
        c.ehlo('client.test')
        assert c.docmd('MAIL', 'FROM:<outside@example.net> BODY=8BITMIME')[0] == 250
        for one in [to] if isinstance(to, str) else to:
            assert c.docmd('RCPT', f'TO:<{one}>')[0] == 250
        if chunked:
            c.send(b'BDAT %d LAST\r\n' % len(message) + message)
            assert c.getreply()[0] == 250
        else:
            assert c.docmd('DATA')[0] == 354
            c.send(re.sub(rb'(?m)^\.', b'..', message) + b'.\r\n')
            assert c.getreply()[0] == 250


def process(s, role):
    """The process that plays that role, once there is one."""
    deadline = time.monotonic() + 60
    while True:
        found = [r['pid'] for r in s.json('status')['roles'] if r['role'] == role and r.get('pid')]
        if found:
            return found[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


# ---- passwords ----

def test_right_and_wrong_passwords(pair):
    s, d = pair
    assert d.login(ANN, PASSWORD) == 'OK'
    assert d.login('ANN@Example.Org', PASSWORD) == 'OK'
    for user, password in ((ANN, PASSWORD + 'x'), (ANN, ' '), ('nobody@example.org', PASSWORD), ('ann', PASSWORD)):
        assert WRONG in d.login(user, password), user
    c = d.pop3()
    c.user(ANN)
    assert b'+OK' in c.pass_(PASSWORD)
    c.quit()
    # The address is the client's, not Dovecot's; what was asked is in our log as any other login.
    assert 'service=imap' in s.wait_log('event=auth listener=@dovecot ip=127.0.0.1')
    assert f'account={ANN}' in s.wait_log('event=auth-failed listener=@dovecot ip=127.0.0.1')


def test_odd_passwords(pair):
    s, d = pair
    for i, odd in enumerate(['a\\ "quote" %u %{x} / %%', 'pässwörd ñ €', "'; DROP --", 'x' * 400]):
        s.account(f'odd{i}@example.org', odd)
        c = d.imap()
        c.sock.sendall(b'a AUTHENTICATE PLAIN ' + base64.b64encode(f'\0odd{i}@example.org\0{odd}'.encode()) + b'\r\n')
        while not (line := c.readline()).startswith(b'a '):
            pass
        assert line.startswith(b'a OK'), odd
        c.shutdown()


def test_switched_off_and_on(pair):
    s, d = pair
    s.account('off@example.org', PASSWORD)
    assert d.login('off@example.org', PASSWORD) == 'OK'
    s.cli('account', 'set', 'off@example.org', '--enabled', 'off')
    assert WRONG in d.login('off@example.org', PASSWORD)
    s.cli('account', 'set', 'off@example.org', '--enabled', 'on')
    assert d.login('off@example.org', PASSWORD) == 'OK'
    s.cli('account', 'set', 'off@example.org', '--password-file', '-', input='another password\n')
    assert WRONG in d.login('off@example.org', PASSWORD)


def test_keys_open_a_mailbox_only_when_they_are_made_for_it(pair):
    s, d = pair
    s.account('keys@example.org', PASSWORD)

    def key(name, *more):
        return s.json('key', 'add', 'keys@example.org', '--name', name, *more)['key']

    assert d.login('keys@example.org', key('phone', '--listener', '@dovecot', '--listener', 'submission')) == 'OK'
    assert WRONG in d.login('keys@example.org', key('cron'))
    assert WRONG in d.login('keys@example.org', key('send', '--listener', 'submission'))
    far = key('far', '--listener', '@dovecot', '--network', '192.0.2.0/24')
    assert WRONG in d.login('keys@example.org', far)
    s.cli('key', 'set', 'keys@example.org', 'far', '--network', '127.0.0.0/8')
    assert d.login('keys@example.org', far) == 'OK'
    s.cli('key', 'set', 'keys@example.org', 'far', '--revoke')
    assert WRONG in d.login('keys@example.org', far)


def test_remembered_logins_cost_no_hash(pair):
    s, d = pair

    def keeper():
        return next(r for r in s.json('status')['roles'] if r['role'] == 'keeper')

    assert d.login(BOB, PASSWORD) == 'OK'
    before = keeper()
    assert d.login(BOB, PASSWORD) == 'OK'
    after = keeper()
    assert after['hashes']['done'] == before['hashes']['done']
    assert after['logins']['remembered'] == before['logins']['remembered'] + 1


def test_keeper_away_is_temporary(pair):
    """Killed and started anew all the time: the answer is OK or 'later', never 'wrong'."""
    s, d = pair
    said = set()
    for _ in range(4):
        os.kill(process(s, 'keeper'), signal.SIGKILL)
        said.add(d.login(ANN, PASSWORD)[:30])
    assert not any(WRONG in one for one in said), said
    deadline = time.monotonic() + 60
    while d.login(ANN, PASSWORD) != 'OK':
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_postern_stopped_is_temporary_and_no_log_has_a_password(pair):
    s, d = pair
    secret = PASSWORD
    s.stop()
    try:
        assert LATER in d.login(ANN, secret)
        assert LATER in d.login(ANN, 'guessed-and-wrong-too')
    finally:
        s.start()
    assert d.login(ANN, secret) == 'OK'
    for text in (d.log_text(), s.log_text()):
        assert secret not in text and 'guessed-and-wrong-too' not in text


def test_who_may_use_the_socket(pair):
    s, d = pair
    path = os.path.join(s.config['runtime_dir'], 'dovecot.sock')
    st = os.stat(path)
    assert st.st_mode & 0o777 == 0o660 and st.st_gid == 8
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(12)
        os.setuid(12)
        try:
            socket.socket(socket.AF_UNIX).connect(path)
        except PermissionError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_the_socket_is_not_there_unless_wanted(server):
    assert not os.path.exists(os.path.join(server.config['runtime_dir'], 'dovecot.sock'))


# ---- mail ----

HEAD = b'From: <outside@example.net>\r\nTo: <ann@example.org>\r\nDate: Sun, 22 Nov 2026 01:02:03 +0000\r\nMessage-ID: <%s@example.net>\r\n'
MESSAGES = {
    'plain': b'Subject: plain\r\n\r\nHello.\r\n',
    'no body': b'Subject: no body\r\n\r\n',
    'headers only': b'Subject: headers only\r\n',
    'dots': b'Subject: dots\r\n\r\n.\r\n..\r\n...\r\n. \r\n.x\r\n',
    'blank ends': b'Subject: blanks\r\n\r\n \r\n\t\r\ntrailing \t \r\n\r\n\r\n',
    'From': b'Subject: from\r\n\r\nFrom here on\r\n>From there\r\n',
    'eight bit': b'Subject: \xc3\xa4\xc3\xb6 \xe2\x82\xac \xf0\x9f\x93\xac\r\n\r\n\xc3\xbc \xff\xfe\x80\x81 latin: \xe4\r\n',
    'long lines': b'Subject: long\r\n\r\n' + b'x' * 990 + b'\r\n' + b'y' * 998 + b'\r\n',
    'controls': b'Subject: controls\r\n\r\n' + bytes(c for c in range(1, 32) if c not in (10, 13)) + b'\x7f\r\n',
}


def message(name, text):
    return HEAD % name.replace(' ', '-').encode() + text


def test_every_octet_comes_back(pair):
    s, d = pair
    sent = {name: message(name, text) for name, text in MESSAGES.items()}
    for m in sent.values():
        send(s, ANN, m)
    body = b''.join(b'%06d %s\r\n' % (i, b'z' * (i % 90)) for i in range(100000))  # over 5 MB
    sent['large'] = message('large', b'Subject: large\r\n\r\n' + body)
    send(s, ANN, sent['large'])
    sent['cut'] = message('cut', b'Subject: cut\r\n\r\nno line end')
    send(s, ANN, sent['cut'], chunked=True)
    sent['cut'] += b'\r\n'  # the server completes the line, so that DATA could pass it on
    for name in sent:
        s.wait_message(ANN, name.replace(' ', '-').encode() + b'@example.net')
    by_imap, by_pop3 = d.messages_imap(ANN, PASSWORD), d.messages_pop3(ANN, PASSWORD)
    assert len(by_imap) == len(by_pop3) == len(sent)
    for name, m in sent.items():
        mark = b'Message-ID: <%s@example.net>' % name.replace(' ', '-').encode()
        got = next(g for g in by_imap if mark in g)
        assert got.endswith(m), name
        added = got[:-len(m)]
        assert re.fullmatch(rb'Return-Path: <outside@example.net>\r\nDelivered-To: ann@example.org\r\n'
                            rb'Received: (?:[^\r\n]+\r\n)(?:[ \t][^\r\n]+\r\n)*', added), (name, added)
        got = next(g for g in by_pop3 if mark in g)
        assert got.endswith(m), name


def test_dovecot_moves_and_deletes(pair):
    """New mail is moved to cur/ and marked; what Dovecot keeps in the folder harms no delivery."""
    s, d = pair
    s.account('moves@example.org', PASSWORD)
    box = s.mailbox('moves@example.org')
    send(s, 'moves@example.org', message('one', b'Subject: one\r\n\r\n1\r\n'))
    s.wait_message('moves@example.org', b'one@')
    with d.reading('moves@example.org', PASSWORD) as c:
        c.store('1', '+FLAGS', '\\Seen \\Flagged')
        assert c.create('Archive')[0] == 'OK' and c.subscribe('Archive')[0] == 'OK'
        assert c.copy('1', 'Archive')[0] == 'OK'
    assert os.listdir(f'{box}/new') == [] and re.search(':2,FS$', os.listdir(f'{box}/cur')[0])
    there = set(os.listdir(box))
    assert {'dovecot-uidlist', 'subscriptions', '.Archive'} <= there, there
    send(s, 'moves@example.org', message('two', b'Subject: two\r\n\r\n2\r\n'))
    send(s, 'moves+Archive@example.org', message('three', b'Subject: three\r\n\r\n3\r\n'))
    for one in (b'two@', b'three@'):
        s.wait_message('moves@example.org', one)
    for root, dirs, files in os.walk(box):
        for name in dirs + files:
            st = os.stat(os.path.join(root, name))
            assert st.st_uid == 65534 and (name.startswith('dovecot-uidvalidity') or not st.st_mode & 0o007), name
    with d.reading('moves@example.org', PASSWORD) as c:
        assert c.search(None, 'ALL')[1][0].split() == [b'1', b'2', b'3']
        c.store('1:2', '+FLAGS', '\\Deleted')
        c.expunge()
        assert len(c.search(None, 'ALL')[1][0].split()) == 1
    assert len(d.messages_imap('moves@example.org', PASSWORD, 'Archive')) == 1


def quota_by_imap(d, user):
    with d.reading(user, PASSWORD) as c:
        said = c.getquotaroot('INBOX')[1][1][0]
    return tuple(int(n) for n in re.search(rb'STORAGE (\d+) (\d+)', said).groups())


def test_both_count_alike(pair):
    """What Postern delivers Dovecot knows, what Dovecot deletes Postern knows; in one file."""
    s, d = pair
    user = 'counted@example.org'
    s.account(user, PASSWORD)
    s.cli('account', 'set', user, '--quota', '40K')

    def used():
        return s.json('account', 'show', user)['used']

    for i in range(3):
        send(s, user, message(f'q{i}', b'Subject: q\r\n\r\n' + b'x' * 78 * 120 + b'\r\n'))
        s.wait_message(user, b'q%d@' % i)
    size = sum(os.path.getsize(f'{root}/{n}') for root, _, names in os.walk(s.mailbox(user) + '/new') for n in names)
    assert used() == {'octets': size, 'messages': 3}
    assert quota_by_imap(d, user) == (-(-size // 1024), 40) or quota_by_imap(d, user) == (size // 1024, 40)
    with d.reading(user, PASSWORD) as c:
        # By Dovecot, too, a message too large is refused.
        assert c.append('INBOX', '', None, b'x' * 20000)[0] == 'NO'
        assert c.append('INBOX', '', None, b'Subject: small\r\n\r\nsmall\r\n')[0] == 'OK'
    assert used()['messages'] == 4
    begin = os.path.getsize(s.log_file)
    send(s, user, message('late', b'Subject: late\r\n\r\n' + b'x' * 78 * 170 + b'\r\n'))
    assert 'status=4.2.2' in s.wait_log('event=deferred', begin=begin)
    with d.reading(user, PASSWORD) as c:
        c.store('1', '+FLAGS', '\\Deleted')
        c.expunge()
    assert used()['messages'] == 3
    s.cli('queue', 'retry', '--all')
    s.wait_message(user, b'late@')
    assert used()['messages'] == 4
    size = sum(os.path.getsize(f'{s.mailbox(user)}/{sub}/{n}') for sub in ('new', 'cur') for n in os.listdir(f'{s.mailbox(user)}/{sub}'))
    assert used()['octets'] == size
    assert f'{40 << 10}S' == open(s.mailbox(user) + '/maildirsize').readline().strip()


def test_mail_arrives_while_dovecot_waits_for_it(pair):
    s, d = pair
    s.account('idle@example.org', PASSWORD)
    send(s, 'idle@example.org', message('first', b'Subject: 1\r\n\r\n1\r\n'))
    s.wait_message('idle@example.org', b'first@')
    with d.reading('idle@example.org', PASSWORD) as c:
        c.sock.sendall(b'i IDLE\r\n')
        while not c.readline().startswith(b'+'):
            pass
        send(s, 'idle@example.org', message('second', b'Subject: 2\r\n\r\n2\r\n'))
        c.sock.settimeout(60)
        while not re.match(rb'\* 2 EXISTS', c.readline()):
            pass


def test_guessing_is_locked_by_the_clients_address(make_server):
    """The counters of AUTH, with the address that Dovecot names; the owner's own network stays free."""
    config = dict(server_config(), guessing={'per_address': 3, 'lock': '1h'}, limits={'exempt_networks': []})
    with make_server(config) as s:
        s.cli('domain', 'add', 'example.org')
        s.account(ANN, PASSWORD)
        s.account(BOB, PASSWORD)
        with Dovecot(s) as d:
            assert d.login(BOB, PASSWORD) == 'OK'
            for i in range(3):
                assert WRONG in d.login(ANN, f'guess number {i}')
            # Refused for a while, whatever the password: and that is nothing to change a password for.
            assert LATER in d.login(ANN, PASSWORD)
            assert 'ip=127.0.0.1' in s.wait_log('why=locked-address')
            assert d.login(BOB, PASSWORD) == 'OK'
