"""What senders are told of mail for elsewhere: a row a case, each sent through the same peer, which answers by the
recipient's name; and what a peer that knows DSN is asked instead."""
import email
import email.policy
import smtplib
import ssl
import time

import pytest
from smtp_peer import OK, SmtpPeer

PASSWORD = 'correct horse battery'
KNOWS_DSN = '250-peer.test\n250-PIPELINING\n250-8BITMIME\n250-DSN\n250 ENHANCEDSTATUSCODES'
ASKED = ['ENVID=QQ+2B1', 'RET=HDRS']
UTF8 = 'j\u00f6rg'

# name: (recipient, its options, subject, action, status, diagnostic or None, words that people read)
CASES = {
    'handed on': ('ok@far.example', ['NOTIFY=SUCCESS', 'ORCPT=rfc822;Ok+2B1@far.example'], 'Handed on: ok@far.example', 'relayed',
                  '2.0.0', 'smtp; 250 2.0.0 taken', 'The next server sends no reports'),
    'no such user': ('gone@far.example', ['ORCPT=rfc822;Gone@far.example'],
                     'Not delivered: gone@far.example (no such address)', 'failed', '5.1.1',
                     'smtp; 550 5.1.1 <gone@far.example>: user unknown', 'It is your turn: look for a typing mistake'),
    'content': ('spam@far.example', [], 'Not delivered: spam@far.example (content refused)', 'failed', '5.7.1',
                'smtp; 550 5.7.1 this message looks like spam', 'takes it for spam'),
    'late': ('late@far.example', [], 'Not delivered yet: late@far.example (server asks to wait)', 'delayed', '4.3.2',
             'smtp; 451 4.3.2 come back later', 'It is tried again until'),
    'connection lost': ('x@dead.example', [], 'Not delivered yet: x@dead.example (server not reached)', 'delayed', '4.4.1',
                        'X-Postern; cannot connect to 127.0.0.1 port 1: connection refused', 'Nothing is wrong with your message'),
    'no TLS': ('x@safe.example', [], 'Not delivered yet: x@safe.example (no safe connection)', 'delayed', '4.7.4', 'X-Postern; *',
               'It was not sent in the open'),
    'our own rule': ('x@no.example', [], 'Not delivered: x@no.example (not sent by this server)', 'failed', '5.7.1',
                     'X-Postern; we do not write to them', 'those who run it decided so'),
    'UTF-8': (f'{UTF8}@far.example', [], 'Not delivered: 1 recipient (not supported there)', 'failed', '5.6.7', 'X-Postern; *',
              'in a simpler form'),
}


@pytest.fixture(scope='module')
def world(make_server):
    with SmtpPeer() as peer, SmtpPeer() as knows:
        def rcpt(session, line):
            for name, said in (('gone', '550 5.1.1 <gone@far.example>: user unknown'), ('spam', '550 5.7.1 this message looks like spam'),
                               ('late', '451 4.3.2 come back later')):
                if name in line.decode():
                    return said
            return OK

        def remember(session, line):
            knows.lines.append(line.decode().strip())
            return OK
        peer.answer['rcpt'] = rcpt
        knows.lines = []
        knows.answer.update(ehlo=KNOWS_DSN, mail=remember, rcpt=remember)

        def route(domain, port, **more):
            return {'to': [domain], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': port, **more}
        routes = {'far': route('far.example', peer.port), 'knows': route('knows.example', knows.port), 'dead': route('dead.example', 1),
                  'safe': route('safe.example', peer.port, tls='require'),
                  'no': {'to': ['no.example'], 'via': 'refuse', 'text': 'we do not write to them'}}
        with make_server({'routes': routes, 'relay': {'delay_warning': '1h'}, 'smtp_processes': 1}) as s:
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', PASSWORD)
            for name, (to, options, *_) in CASES.items():
                submit(s, to, name, options)
            # Who is late is told with the reason, once there is one.
            late = {to for to, _, _, action, *_ in CASES.values() if action == 'delayed'}
            wait(lambda: {r['to'][0] for r in s.json('queue', 'list') if r['reason'] and r['state'] != 'active'} >= late, s)
            s.config['relay']['delay_warning'] = '1s'
            s.write_config()
            s.cli('reload')
            yield s, knows


def wait(true, s):
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, (s.json('queue', 'list'), s.log_text()[-3000:])
        time.sleep(0.1)


def submit(s, to, subject, options=(), body='hello'):
    context = ssl._create_unverified_context()
    utf8 = not to.isascii()
    with smtplib.SMTP('127.0.0.1', s.port['submission'], timeout=120) as c:
        c.starttls(context=context)
        c.login('ann@example.org', PASSWORD)
        c.command_encoding = 'utf-8'
        assert c.mail('ann@example.org', [*ASKED, *(['SMTPUTF8', 'BODY=8BITMIME'] if utf8 else [])])[0] == 250
        assert c.rcpt(to, options)[0] == 250
        assert c.data(f'From: ann@example.org\r\nSubject: {subject}\r\n\r\n{body}\r\n'.encode())[0] == 250


def reports(s):
    return [email.message_from_bytes(m, policy=email.policy.SMTP) for m in s.messages('ann@example.org')]


def groups(part):
    """The fields of the message, and of its only recipient.  Python does not take the global kind apart."""
    text = part.as_bytes().split(b'\r\n\r\n' if b'\r\n' in part.as_bytes() else b'\n\n')[1:]
    return [email.message_from_string(g.decode(), policy=email.policy.default) for g in text if g.strip()]


def wait_report(s, subject, timeout=120):
    deadline = time.monotonic() + timeout
    while True:
        for m in reports(s):
            if m['subject'] == subject:
                return m
        assert time.monotonic() < deadline, ([m['subject'] for m in reports(s)], s.log_text()[-3000:])
        time.sleep(0.1)


@pytest.mark.parametrize('name', CASES)
def test_report(world, name):
    to, options, subject, action, status, diagnostic, words = CASES[name]
    m = wait_report(world[0], subject)
    assert m.get_content_type() == 'multipart/report' and m.get_param('report-type') == 'delivery-status'
    assert m['return-path'] == '<>' and m['auto-submitted'] == 'auto-replied' and not m.defects
    people, programs, original = m.get_payload()
    assert words in ' '.join(people.get_content().split())
    message, one = groups(programs)
    assert message['original-envelope-id'] == 'QQ+1' and message['reporting-mta'] == 'dns; mx.example.org'
    assert one['action'] == action and one['status'] == status
    said = ' '.join(str(one['diagnostic-code']).split())
    assert said == diagnostic or (diagnostic.endswith('*') and said.startswith(diagnostic[:-1])), said
    assert one['final-recipient'] == (f'rfc822; {to}' if to.isascii() else f'utf-8; {to}')
    assert programs.get_content_type() == f'message/{"" if to.isascii() else "global-"}delivery-status'
    wanted = [o.split(';', 1)[1].replace('+2B', '+') for o in options if o.startswith('ORCPT')]
    assert one['original-recipient'] == (f'rfc822; {wanted[0]}' if wanted else None)
    assert one['remote-mta'] == ('dns; [127.0.0.1]' if diagnostic.startswith('smtp') or name == 'UTF-8' else None)
    assert ('will-retry-until' in one) == (action == 'delayed')
    assert original.get_content_type() in ('text/rfc822-headers', 'message/global-headers')


def test_a_server_that_knows_dsn_reports_itself(world):
    s, knows = world
    submit(s, 'bob@knows.example', 'asked', ['NOTIFY=SUCCESS,FAILURE', 'ORCPT=rfc822;Bob@knows.example'])
    wait(lambda: knows.taken, s)
    mail, rcpt = knows.lines
    assert 'ENVID=QQ+2B1' in mail and 'RET=HDRS' in mail
    assert 'NOTIFY=SUCCESS,FAILURE' in rcpt and 'ORCPT=rfc822;Bob@knows.example' in rcpt
    # What is done before something else is told before it, too.
    wait(lambda: 'bob@knows.example' not in str(s.json('queue', 'list')), s)
    submit(s, 'mark@far.example', 'mark', ['NOTIFY=SUCCESS'])
    wait_report(s, 'Handed on: mark@far.example')
    assert not [m for m in reports(s) if 'bob@knows' in m['subject']]


def test_reports_have_no_line_too_long(world):
    for raw in world[0].messages('ann@example.org'):
        assert max(len(line) for line in raw.split(b'\n')) <= 998 and b'\r\r' not in raw
