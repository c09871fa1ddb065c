"""What senders are told: reports of failure, delay and delivery, by a server whose mailboxes are
behind a scripted LMTP server."""
import email
import email.policy
import json
import os
import smtplib
import subprocess
import time

import pytest
from lmtp_peer import OK, LmtpPeer

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NAMES = ('ann', 'bob', 'eve', 'full')
GONE = '550 5.1.1 <bob@example.org>: user unknown here'


@pytest.fixture(scope='module')
def running(make_server):
    with LmtpPeer() as peer:
        with make_server({'delivery': {'by': 'lmtp', 'lmtp': peer.where}}) as s:
            s.cli('domain', 'add', 'example.org')
            for name in NAMES:
                s.account(f'{name}@example.org', 'correct horse battery')
            yield s, peer


@pytest.fixture
def site(running):
    s, peer = running
    s.begin = os.path.getsize(s.log_file)
    before = dict(peer.answer)
    peer.messages.clear()
    peer.answer['rcpt'] = lambda session, line: GONE if b'bob@' in line else OK
    yield s, peer
    peer.answer = before
    settled(s)


def rows(s):
    """Of `queue list`; None while the queue is away."""
    p = s.cli('queue', 'list', '--json', check=False)
    return None if p.returncode else json.loads(p.stdout)


def settled(s):
    deadline = time.monotonic() + 60
    while (left := rows(s)) != []:
        assert time.monotonic() < deadline, (left, s.log_text()[-3000:])
        time.sleep(0.1)


def submit(s, to, sender='ann@example.org', body='Subject: lunch\r\nMessage-ID: <1@client.example>\r\n\r\nhello\r\n',
           mail=(), rcpt=()):
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=120) as c:
        assert not c.sendmail(sender, [f'{name}@example.org' for name in to], body, mail, rcpt)


def report(peer, n=1, timeout=60):
    """The n-th message from <>, parsed."""
    deadline = time.monotonic() + timeout
    while True:
        found = [m for m in peer.messages if b'<>' in m.sender]
        if len(found) >= n:
            return found[n - 1], email.message_from_bytes(found[n - 1].data, policy=email.policy.SMTP)
        assert time.monotonic() < deadline, peer.messages
        time.sleep(0.05)


def groups(m):
    """The fields of message/delivery-status: of the message, and of each recipient."""
    part = m.get_payload()[1]
    assert part.get_content_type() in ('message/delivery-status', 'message/global-delivery-status')
    return part.get_payload()


def test_failed(site):
    s, peer = site
    submit(s, ['bob'], mail=['ENVID=QQ1'], rcpt=['ORCPT=rfc822;Bob+2B@example.org'])
    raw, m = report(peer)
    assert raw.to == 'ann@example.org'
    assert not m.defects and all(not p.defects for p in m.walk())
    assert m['subject'] == 'Not delivered: bob@example.org (no such address)'
    assert m['to'] == 'ann@example.org'
    assert m['in-reply-to'] == m['references'] == '<1@client.example>'
    assert m['auto-submitted'] == 'auto-replied'
    assert m.get_content_type() == 'multipart/report' and m.get_param('report-type') == 'delivery-status'
    people, _, original = m.get_payload()
    text = people.get_content()
    assert 'nobody has this address' in text and 'It is your turn' in text
    assert GONE in ' '.join(text.split())
    assert max(len(line) for line in text.splitlines()) <= 78
    message, one = groups(m)
    assert message['original-envelope-id'] == 'QQ1' and message['reporting-mta'].startswith('dns; ')
    assert one['original-recipient'] == 'rfc822; Bob+@example.org'
    assert one['final-recipient'] == 'rfc822; bob@example.org'
    assert one['action'] == 'failed' and one['status'] == '5.1.1'
    assert one['diagnostic-code'] == 'smtp; ' + GONE
    assert original.get_content_type() == 'text/rfc822-headers' and 'Subject: lunch' in original.get_payload()


def test_whole_message_comes_back(site):
    s, peer = site
    submit(s, ['bob'], mail=['RET=FULL'])
    original = report(peer)[1].get_payload()[2]
    assert original.get_content_type() == 'message/rfc822'
    assert original.get_payload()[0].get_payload() == 'hello\r\n'


def test_one_report_for_many(site):
    s, peer = site
    peer.answer['rcpt'] = lambda session, line: '552 5.2.2 mailbox full' if b'full@' in line else \
        GONE if b'bob@' in line else OK
    submit(s, ['bob', 'eve', 'full'])
    m = report(peer)[1]
    assert m['subject'] == 'Not delivered: 2 recipients'
    assert [(g['final-recipient'], g['status']) for g in groups(m)[1:]] == \
        [('rfc822; bob@example.org', '5.1.1'), ('rfc822; full@example.org', '5.2.2')]
    text = m.get_payload()[0].get_content()
    assert 'NOT DELIVERED: no such address' in text and 'NOT DELIVERED: mailbox full' in text
    assert 'eve@' not in text
    settled(s)
    assert len([p for p in peer.messages if b'<>' in p.sender]) == 1


def test_not_when_the_sender_does_not_want_it(site):
    s, peer = site
    before = s.json('status')['roles']
    submit(s, ['bob'], rcpt=['NOTIFY=NEVER'])
    submit(s, ['bob'], rcpt=['NOTIFY=SUCCESS'])
    settled(s)
    assert not peer.messages
    assert reports(s)['unwanted'] == sum(r.get('status', r).get('reports', {}).get('unwanted', 0)
                                         for r in before if r['role'] == 'queue') + 2


def reports(s):
    for role in s.json('status')['roles']:
        if role['role'] == 'queue':
            return role.get('status', role)['reports']
    raise AssertionError('no queue')


def test_never_about_a_report(site):
    s, peer = site
    nobody = reports(s)['nobody_to_tell']
    submit(s, ['bob'], sender='')
    settled(s)
    assert not peer.messages
    assert reports(s)['nobody_to_tell'] == nobody + 1, s.log_text()[-2500:]


def test_report_that_fails_itself(site):
    """Its sender is nobody, so that is the end of it."""
    s, peer = site
    nobody = reports(s)['nobody_to_tell']
    peer.answer['rcpt'] = lambda session, line: GONE
    submit(s, ['bob'])
    s.wait_log('event=not-reported', begin=s.begin)
    settled(s)
    assert reports(s)['nobody_to_tell'] == nobody + 1, s.log_text()[-2500:]


def test_sender_that_is_not_there(site):
    s, peer = site
    before = reports(s)['undeliverable']
    submit(s, ['bob'], sender='gone@example.org')
    settled(s)
    assert reports(s)['undeliverable'] == before + 1 and not peer.messages


def test_given_up_by_an_administrator(site):
    s, peer = site
    peer.answer['rcpt'] = lambda session, line: '451 4.3.0 not now' if b'bob@' in line else OK
    submit(s, ['bob'])
    s.wait_log('event=deferred', begin=s.begin)
    row, = rows(s)
    s.cli('queue', 'bounce', row['id'])
    m = report(peer)[1]
    assert groups(m)[1]['action'] == 'failed'
    assert 'returned by the administrator' in m['subject']


def test_delivered(site):
    s, peer = site
    submit(s, ['eve'], rcpt=['NOTIFY=SUCCESS,FAILURE'])
    m = report(peer)[1]
    assert m['subject'] == 'Delivered: eve@example.org'
    assert groups(m)[1]['action'] == 'delivered' and groups(m)[1]['status'] == '2.0.0'


def test_crash_before_the_outcome(site):
    """queue dies as soon as it has failed: the report is made after the start."""
    s, peer = site
    submit(s, ['bob'])
    s.wait_log('event=failed', begin=s.begin)
    os.kill(s.pids()['queue'][0], 9)
    assert '.failed.0@' in report(peer)[1]['message-id']
    settled(s)
    assert len({r.data for r in peer.messages if b'<>' in r.sender}) <= 2


def test_reports_of_the_engine(tmp_path):
    """What the unit tests composed, read by Python's parser."""
    env = dict(os.environ, POSTERN_DSN_OUT=str(tmp_path))
    subprocess.run([os.path.join(TOP, 'build/test/mime-dsn_test')], check=True, env=env, stdout=subprocess.DEVNULL)
    files = sorted(os.listdir(tmp_path))
    assert len(files) >= 10
    for name in files:
        raw = (tmp_path / name).read_bytes()
        m = email.message_from_bytes(raw, policy=email.policy.SMTP)
        assert m.get_content_type() == 'multipart/report', name
        assert len(m.get_payload()) in (2, 3), name
        for part in m.walk():
            assert not part.defects, (name, part.defects)
        fields = [g for g in groups(m) if g.items()]
        assert [k.lower() for k in fields[0].keys()][-1] == 'x-postern-queue-id'
        for g in fields[1:]:
            names = [k.lower() for k in g.keys()]
            assert names.count('final-recipient') == names.count('action') == names.count('status') == 1, name
            assert names == sorted(names, key=[
                'original-recipient', 'final-recipient', 'action', 'status', 'remote-mta', 'diagnostic-code',
                'last-attempt-date', 'will-retry-until'].index), name
            assert g['action'] in ('failed', 'delayed', 'delivered', 'relayed')


def rcpt(s, sender, to):
    with smtplib.SMTP('127.0.0.1', s.port['relay'], timeout=120) as c:
        c.helo('client.example.net')
        c.mail(sender)
        return c.rcpt(to)


def test_forwarded(site):
    """An alias that leads elsewhere sends on as itself, and takes back only reports."""
    s, peer = site
    s.cli('alias', 'add', 'moved@example.org', 'new@elsewhere.invalid')
    submit(s, ['moved'], sender='far@example.com')
    row = s.json('queue', 'list')[0]
    shown = s.json('queue', 'show', row['id'])
    one = shown['to'][0]
    s.cli('queue', 'remove', row['id'])
    assert one['address'] == 'new@elsewhere.invalid'
    assert one['sender'].startswith('SRS0=') and one['sender'].endswith('=example.com=far@example.org')
    assert rcpt(s, '', one['sender'])[0] == 250
    assert rcpt(s, '', one['sender'].lower())[0] == 250
    code, text = rcpt(s, 'x@example.com', one['sender'])
    assert code == 550 and text.startswith(b'5.7.1')
    code, text = rcpt(s, '', one['sender'].replace('=far@', '=fbr@'))
    assert code == 550 and text.startswith(b'5.1.1')
    submit(s, ['moved'])  # a sender of ours stays
    row = s.json('queue', 'list')[0]
    assert 'sender' not in s.json('queue', 'show', row['id'])['to'][0]
    s.cli('queue', 'remove', row['id'])
    s.cli('alias', 'delete', 'moved@example.org', check=False)


def test_delayed(make_server):
    """Told once, also after a restart."""
    with LmtpPeer() as peer:
        peer.answer['rcpt'] = lambda session, line: '451 4.3.0 not now' if b'bob@' in line else OK
        config = {'delivery': {'by': 'lmtp', 'lmtp': peer.where}, 'relay': {'delay_warning': '3s'}}
        with make_server(config) as s:
            s.cli('domain', 'add', 'example.org')
            for name in NAMES:
                s.account(f'{name}@example.org', 'correct horse battery')
            submit(s, ['bob', 'eve'])
            m = report(peer)[1]
            assert m['subject'].startswith('Not delivered yet: bob@example.org')
            one = groups(m)[1]
            assert one['action'] == 'delayed' and one['status'] == '4.3.0' and one['will-retry-until']
            begin = os.path.getsize(s.log_file)
            os.kill(s.pids()['queue'][0], 9)
            s.wait_log('event=queue-loaded', begin=begin)
            # Messages are looked at in order of their age: when a later one is told of, this one was looked at again.
            submit(s, ['bob'], body='Subject: later\r\n\r\nhello\r\n')
            assert 'Subject: later' in str(report(peer, 2)[1])
            assert len([p for p in peer.messages if b'<>' in p.sender]) == 2
