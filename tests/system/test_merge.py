"""postern send --merge: a message for each row, none lost and none twice, however often it is interrupted; and
what it makes of servers that want it slower, go away, or refuse."""
import collections
import contextlib
import csv
import email
import email.policy
import hashlib
import html as entities
import json
import os
import pty
import random
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest
from smtp_peer import CLOSE, Session, SmtpPeer
from smtp_peer import OK as TAKEN
from test_tls import make_certificate

OK, REFUSED, USAGE, NO_SERVER, LATER = 0, 1, 2, 3, 75
TEMPLATE = '''From: News <ann@example.org>
To: {{name|}} <{{email}}>
Subject: row-{{id}}

Hello {{name|friend}}.
'''


class TlsPeer(SmtpPeer):
    """TLS from the first octet."""

    def __init__(self, folder):
        super().__init__()
        cert, key = make_certificate(folder, 'peer', ['peer.test'], 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)
        with open(cert) as f:
            der = ssl.PEM_cert_to_DER_cert(f.read())
        self.pin = hashlib.sha256(der).hexdigest()
        self.times, self.bodies = [], {}

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            sock = self.context.wrap_socket(sock, server_side=True)
        except OSError:
            return
        session = Session(self, sock)
        with self.lock:
            self.connects += 1
            self.sessions.add(session)
        session.run()

    def take(self, session, data):
        super().take(session, data)
        self.times.append(time.monotonic())
        data = re.sub(rb'^\.', b'', data, flags=re.M)  # RFC 5321 4.5.2
        self.bodies[re.search(rb'^Subject: (\S+)', data, re.M).group(1).decode()] = data

    def subjects(self):
        """{"row-1": how often}"""
        counts = collections.Counter()
        with self.lock:
            for (subject, _), n in self.taken.items():
                counts[subject] += n
        return counts


class Gate:
    """An answer to the dot that is kept back, once so many messages were taken, until the gate is open."""

    def __init__(self, peer, behind):
        self.peer, self.behind = peer, behind
        self.reached, self.open = threading.Event(), threading.Event()
        peer.answer['final'] = self

    def __call__(self, session, data):
        if sum(self.peer.subjects().values()) >= self.behind:
            self.reached.set()
            self.open.wait(300)
        return TAKEN


def said(p, words):
    """What p writes to standard error until these words are in it."""
    text = ''
    with ends(p):
        while words not in text:
            line = p.stderr.readline()
            assert line, text
            text += line
    return text


def rest(p):
    """What it has written since, to its end."""
    with ends(p):
        err, out = p.stderr.read(), p.stdout.read()
        p.wait()
    return out, err


@contextlib.contextmanager
def ends(p):
    """It does not hang for ever."""
    timer = threading.Timer(240, p.kill)
    timer.start()
    yield
    timer.cancel()


@pytest.fixture
def peer(tmp_path):
    with TlsPeer(tmp_path) as p:
        yield p


class Merge:
    """A list, its template, and the command that sends it."""

    def __init__(self, binary, folder, to):
        self.binary, self.folder, self.to = binary, folder, to
        self.list, self.template = folder / 'list.csv', folder / 'template.txt'
        self.results = folder / 'list.csv.results'
        self.env = {k: v for k, v in os.environ.items() if not k.startswith('POSTERN_')}
        self.env['POSTERN_RUNTIME_DIR'] = '/nonexistent'
        self.template.write_text(TEMPLATE)

    def rows(self, n, more=''):
        self.list.write_text('id,email,name\n' + ''.join(f'{i},p{i}@example.org,P {i}\n' for i in range(1, n + 1)) + more)
        return self

    def command(self, *args):
        return [self.binary, 'send', *self.to, '--merge', str(self.list), '--template', str(self.template), *args]

    def run(self, *args):
        p = subprocess.run(self.command(*args), capture_output=True, text=True, timeout=300, env=self.env,
                           stdin=subprocess.DEVNULL)
        assert 'ERROR: AddressSanitizer' not in p.stderr and 'runtime error' not in p.stderr, p.stderr
        return p.returncode, p.stdout, p.stderr

    def start(self, *args):
        return subprocess.Popen(self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.env, stdin=subprocess.DEVNULL)

    def lines(self):
        return [json.loads(line) for line in self.results.read_text().splitlines()]

    def states(self):
        """{row: its last state}"""
        return {j['row']: j['state'] for j in self.lines() if 'row' in j}


@pytest.fixture
def merge(binary, tmp_path, peer):
    return Merge(binary, tmp_path, ['--url', f'smtps://127.0.0.1:{peer.port}', '--pin', peer.pin, '--pause', '1',
                                    '--timeout', '60'])


def once(n):
    return {f'row-{i}': 1 for i in range(1, n + 1)}


# ---- what arrives ----

def test_each_row(merge, peer):
    """Over one connection; the file says it; and the same again sends nothing."""
    status, out, err = merge.rows(60).run()
    assert status == OK, err
    assert '60 of 60 sent' in out and err == ''
    assert peer.subjects() == once(60) and peer.connects == 1
    assert ('row-7', 'p7@example.org') in peer.taken
    m = email.message_from_bytes(peer.bodies['row-7'], policy=email.policy.default)
    assert m['To'] == 'P 7 <p7@example.org>' and m.get_content() == 'Hello P 7.\r\n'
    head, *lines = merge.lines()
    assert head['postern_merge'] == 1 and head['rows'] == 60
    assert [(j['row'], j['line'], j['state']) for j in lines[:4]] == [
        (1, 2, 'sending'), (1, 2, 'sent'), (2, 3, 'sending'), (2, 3, 'sent')]
    assert lines[1]['to'] == ['p1@example.org'] and lines[1]['code'] == 250 and lines[1]['text'] == '250 2.0.0 taken'
    assert '<' + lines[1]['id'] + '>' == email.message_from_bytes(peer.bodies['row-1'])['Message-ID']
    assert oct(os.stat(merge.results).st_mode & 0o777) == '0o600'
    status, out, err = merge.run()
    assert status == OK and '60 of 60 sent (60 of them before)' in out
    assert peer.subjects() == once(60) and peer.connects == 1


def test_to_a_postern(binary, tmp_path, server):
    run = random.randrange(1 << 40)
    merge = Merge(binary, tmp_path, [])
    merge.env['POSTERN_RUNTIME_DIR'] = server.config['runtime_dir']
    merge.template.write_text('From: root@example.org\nTo: bob@example.org\nSubject: {{id}} of ' + str(run) + '\n\nx\n')
    status, out, err = merge.rows(20).run('--allow-duplicates')
    assert status == OK, err
    deadline = time.monotonic() + 60
    while len(got := [m for m in subjects(server) if m.endswith(f' of {run}')]) < 20 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(got, key=lambda s: int(s.split()[0])) == [f'{i} of {run}' for i in range(1, 21)]


def subjects(server):
    return [str(email.message_from_bytes(raw, policy=email.policy.default)['Subject'])
            for raw in server.messages('bob@example.org')]


HOSTILE = [
    ('Bob", <evil@x.test>, "', 'x'),
    ('a\\" (c) ;:@', '<script>alert("x")</script>'),
    ('Jörg Müller 😀', "it's <b>&amp; \"so\""),
    ('=?utf-8?q?evil?=', '.\r\n.\r\nMAIL FROM:<e@x.test>'),
    (' '.join(['word'] * 10), 'z' * 20000),
    ("'; DROP TABLE x; --", '{{name}} {{email}}'),
]


def test_hostile_cells(merge, peer, tmp_path):
    """Whatever stands in a cell: it is words, in a name, a subject, a text and in HTML."""
    with open(merge.list, 'w', newline='', encoding='utf-8-sig') as f:
        out = csv.writer(f)
        out.writerow(['id', 'email', 'name', 'words'])
        for i, (name, words) in enumerate(HOSTILE, 1):
            out.writerow([i, f'p{i}@example.org', name, words])
    merge.template.write_text('From: ann@example.org\nTo: {{name}} <{{email}}>\nSubject: row-{{id}} {{name}}\n'
                              'X-Name: {{name}}\n\n{{words}}\n')
    page = tmp_path / 'page.html'
    page.write_text('<p title="{{words}}">{{words}}</p><a href="https://x.test/?w={{words:url}}">x</a>')
    status, out, err = merge.run('--html', str(page))
    assert status == OK, err
    for i, (name, words) in enumerate(HOSTILE, 1):
        m = email.message_from_bytes(peer.bodies[f'row-{i}'], policy=email.policy.default)
        assert [(a.display_name, a.addr_spec) for a in m['To'].addresses] == [(name, f'p{i}@example.org')]
        assert m['Subject'] == f'row-{i} {name}' and m['X-Name'] == name
        assert [k for (s, k) in peer.taken if s == f'row-{i}'] == [f'p{i}@example.org']
        text, html = m.iter_parts()
        assert text.get_content().replace('\r\n', '\n').rstrip('\n') == words.replace('\r\n', '\n')
        html = html.get_content()
        inner = re.fullmatch(r'<p title="([^"]*)">([^<]*)</p><a href="https://x.test/\?w=([^"]*)">x</a>\s*', html)
        assert inner, html
        assert entities.unescape(inner[2]).replace('\r\n', '\n') == words.replace('\r\n', '\n')
        assert entities.unescape(inner[1]).replace('\r\n', '\n') == words.replace('\r\n', '\n')
        assert urllib.parse.unquote(inner[3]) == words


@pytest.mark.parametrize('cell', ['a\r\nBcc: e@x.test', 'a\nX: y', 'a\rb', 'a\x07b', 'a\x7fb'])
def test_a_cell_that_would_be_a_field(merge, peer, cell):
    merge.list.write_bytes(f'id,email,name\n1,a@x.test,ok\n2,b@x.test,"{cell}"\n'.encode())
    for field in ('To: {{name}} <{{email}}>', 'To: {{email}}\nSubject: {{name}}', 'To: {{email}}\nX-Y: {{name}}',
                  'To: {{email}}\nReply-To: "{{name}}" <r@x.test>'):
        merge.template.write_text(f'From: ann@example.org\n{field}\n\nx\n')
        status, out, err = merge.run()
        assert status == REFUSED and 'list.csv:3: ' in err and 'in the cell' in err, err
    assert peer.connects == 0 and not merge.results.exists()


def test_unsubscribing_by_one_click(merge, peer):
    """RFC 8058: both fields, the address names the recipient."""
    merge.list.write_text('id,email,token\n1,a@x.test,abc\n2,b@x.test,"d e/f?&>"\n')
    merge.template.write_text('From: ann@example.org\nTo: {{email}}\nSubject: row-{{id}}\n'
                              'List-Unsubscribe: <https://news.example.org/u/{{token}}>,\n'
                              ' <mailto:leave@example.org?subject={{token}}>\n'
                              'List-Unsubscribe-Post: List-Unsubscribe=One-Click\n\nx\n')
    status, out, err = merge.run()
    assert status == OK, err
    for i, token in ((1, 'abc'), (2, 'd%20e%2Ff%3F%26%3E')):
        m = email.message_from_bytes(peer.bodies[f'row-{i}'], policy=email.policy.default)
        assert m.get_all('List-Unsubscribe-Post') == ['List-Unsubscribe=One-Click']
        uris = re.findall('<([^>]*)>', m['List-Unsubscribe'])
        assert uris == [f'https://news.example.org/u/{token}', f'mailto:leave@example.org?subject={token}']
    merge.template.write_text(merge.template.read_text().replace('u/{{token}}', 'u'))
    status, out, err = merge.run()
    assert status == REFUSED and 'who unsubscribes (RFC 8058)' in err


def test_attachments_of_a_row(merge, peer, tmp_path):
    (tmp_path / 'bills').mkdir()
    for i in (1, 2):
        (tmp_path / 'bills' / f'{i}.bin').write_bytes(bytes([i]) * 5000)
    (tmp_path / 'all.txt').write_text('for all')
    merge.template.write_text('From: ann@example.org\nTo: {{email}}\nSubject: row-{{id}}\nAttach: bills/{{id}}.bin\n\nx\n')
    status, out, err = merge.rows(3).run('--attach', str(tmp_path / 'all.txt'))
    assert status == REFUSED and 'list.csv:4: attachment' in err and not merge.results.exists()
    status, out, err = merge.rows(2).run('--attach', str(tmp_path / 'all.txt'))
    assert status == OK, err
    for i in (1, 2):
        m = email.message_from_bytes(peer.bodies[f'row-{i}'], policy=email.policy.default)
        parts = list(m.iter_attachments())
        assert [p.get_filename() for p in parts] == [f'{i}.bin', 'all.txt']
        assert parts[0].get_content() == bytes([i]) * 5000


# ---- before anything is sent ----

BAD = '61,not an address,x\n62,p62@example.org\n63,p5@EXAMPLE.org,again\n64,,nobody\n'


def test_all_is_seen_before(merge, peer):
    status, out, err = merge.rows(60, BAD).run()
    assert status == REFUSED and peer.connects == 0 and not merge.results.exists()
    assert [line.split(': ')[0].split(':')[-1] for line in err.splitlines()[:4]] == ['62', '63', '64', '65']
    assert "no address" in err and 'fewer cells' in err and 'p5@example.org stands in line 6 already' in err
    assert '4 of 64 rows cannot be sent; so nothing is' in err
    status, out, err = merge.run('--json')
    j = json.loads(out)
    assert status == REFUSED and (j['rows'], j['bad'], [p['line'] for p in j['problems']]) == (64, 4, [62, 63, 64, 65])


def test_bad_rows_left_out(merge, peer):
    status, out, err = merge.rows(60, BAD).run('--skip-bad')
    assert status == REFUSED and '60 of 64 sent, 4 left out' in out
    assert peer.subjects() == once(60)
    assert [merge.states()[row] for row in (60, 61, 62, 63, 64)] == ['sent'] + 4 * ['skipped']
    size = os.stat(merge.results).st_size
    merge.run('--skip-bad')
    assert peer.subjects() == once(60) and os.stat(merge.results).st_size == size


def test_duplicates_allowed(merge, peer):
    merge.list.write_text('id,email,name\n1,a@x.test,A\n2,A@X.test,A\n')
    assert merge.run()[0] == REFUSED
    assert merge.run('--allow-duplicates')[0] == OK
    assert peer.subjects() == once(2)


def test_dry_run(merge, peer):
    status, out, err = merge.rows(10).run('--dry-run')
    assert status == OK and peer.connects == 0 and not merge.results.exists()
    assert out.count('Subject: row-') == 3 and '10 rows: 10 would be sent' in err and 'to <p3@example.org>' in err
    status, out, err = merge.rows(10, BAD).run('--dry-run', '--json')
    j = json.loads(out)
    assert status == REFUSED and (j['rows'], j['good'], j['bad']) == (14, 10, 4)


@pytest.mark.parametrize('template, words', [
    ('From: a@b.test\nTo: {{emial}}\n\nx', "line 2, column 5: 'emial': there is no such column; is it 'email'?"),
    ('From: a@b.test\nTo: {{email}}\n\nx {{name', 'line 4, column 3: {{ without }}'),
    ('From: a@b.test\nSubject: x\n\nx', 'says not to whom'),
    ('To: {{email}}\n\nx', 'has no From'),
    ('From: a@b.test\nTo: {{email}}\nDate: today\n\nx', "line 3: 'Date' is made for each message"),
    ('From: a@b.test\nTo: {{email}}\nTo: {{email}}\n\nx', "line 3: 'To' is there already"),
    ('From: a@b.test\nHello\n\nx', 'line 2: no field'),
    ('From: a@b.test\nTo: {{email}}\nContent-Type: image/png\n\nx', 'is text/plain or text/html here'),
    ('From: a@b.test\nTo: {{email}}\nBcc: {{name\n }}\n\nx', 'line 3, column 6: {{ without }}'),
])
def test_wrong_templates(merge, peer, template, words):
    merge.template.write_text(template)
    status, out, err = merge.rows(2).run()
    assert status == REFUSED and words in err and peer.connects == 0, err


@pytest.mark.parametrize('text, words', [
    (b'id,email,name\n1,a@x.test,"A\n2,b@x.test,B\n', 'list.csv:2:12: this quotation mark is never closed'),
    (b'id,email,name\n1,a@x.test,J\xf6rg\n', 'list.csv:2:13: not in UTF-8'),
    (b'', 'is empty'),
    (b'id,email,name\n', 'no row stands below'),
])
def test_wrong_lists(merge, peer, text, words):
    merge.list.write_bytes(text)
    status, out, err = merge.run()
    assert status == REFUSED and words in err and peer.connects == 0, err


@pytest.mark.parametrize('args, words', [
    (['--to', 'a@b.test'], 'only --from, --html and --attach'),
    (['--rate', '0'], 'not understood'), (['--rate', '5/week'], 'not understood'), (['--pause', 'x'], 'not understood'),
    (['--message', 'x'], 'only --from'),
])
def test_wrong_usage(merge, args, words):
    status, out, err = merge.rows(1).run(*args)
    assert status == USAGE and words in err


# ---- interrupted ----

def kill_often(merge, rnd, times, wait):
    for _ in range(times):
        p = merge.start()
        try:
            p.wait(rnd.uniform(*wait))
            return
        except subprocess.TimeoutExpired:
            p.kill()
            p.communicate()


def test_killed(merge, peer):
    """kill -9 at any moment: no row is lost, none comes twice; who may have it is named, and gets it again only
    when that is asked for."""
    n, rnd = 400, random.Random(random.randrange(1 << 40))
    merge.rows(n)
    kill_often(merge, rnd, 12, (0.25, 0.9))
    status, out, err = merge.run('--json')
    j = json.loads(out)
    doubtful = {f'row-{row}' for row, state in merge.states().items() if state == 'doubtful'}
    assert j['sent'] + j['doubtful'] == n and j['doubtful'] == len(doubtful), err
    assert status == (REFUSED if doubtful else OK)
    got = peer.subjects()
    assert all(count == 1 for count in got.values())
    assert set(once(n)) - set(got) <= doubtful
    status, out, err = merge.run('--retry-doubtful')
    assert status == OK, err
    got = peer.subjects()
    assert set(got) == set(once(n)) and all(count == 1 or (count == 2 and s in doubtful) for s, count in got.items())
    # As the same message: whoever has it twice can see that.
    for s in doubtful:
        row = int(s[4:])
        assert len({j['id'] for j in merge.lines() if j.get('row') == row and 'id' in j}) == 1


def test_killed_to_a_postern(binary, tmp_path, server):
    """The same, with books kept by a real server."""
    n, run, rnd = 120, random.randrange(1 << 40), random.Random(random.randrange(1 << 40))
    merge = Merge(binary, tmp_path, ['--allow-duplicates'])
    merge.env['POSTERN_RUNTIME_DIR'] = server.config['runtime_dir']
    merge.template.write_text(f'From: root@example.org\nTo: bob@example.org\nSubject: {{{{id}}}} of {run}\n\nx\n')
    merge.rows(n)
    kill_often(merge, rnd, 8, (0.25, 0.7))
    merge.run()
    doubtful = {row for row, state in merge.states().items() if state == 'doubtful'}

    def books():
        return collections.Counter(int(s.split()[0]) for s in subjects(server) if s.endswith(f' of {run}'))
    deadline = time.monotonic() + 120
    while len(books()) < n - len(doubtful) or server.json('queue', 'list'):
        assert time.monotonic() < deadline, set(range(1, n + 1)) - set(books())
        time.sleep(0.2)
    assert all(count == 1 for count in books().values())
    assert set(range(1, n + 1)) - set(books()) <= doubtful


def test_a_line_cut_off(merge, peer):
    """Power was lost within a line of the results: what it announced was not begun."""
    merge.rows(5).run()
    text = merge.results.read_bytes().splitlines(keepends=True)
    assert peer.subjects() == once(5)
    merge.results.write_bytes(b''.join(text[:7]) + text[7][:20])  # row 4 is announced, in half a line
    assert merge.run()[0] == OK
    assert peer.subjects() == once(5) | {'row-4': 2, 'row-5': 2}
    merge.results.write_bytes(b''.join(text[:8]) + text[8][:20])  # it was announced, and its answer is half a line
    status, out, err = merge.run()
    assert status == REFUSED and 'retry-doubtful' in err and merge.states()[4] == 'doubtful'
    assert peer.subjects()['row-4'] == 2 and peer.subjects()['row-5'] == 3


def test_an_interrupt(merge, peer):
    """Ctrl-C: the message under way is finished; it goes on where it was."""
    gate = Gate(peer, 3)
    p = merge.rows(10).start()
    assert gate.reached.wait(120)
    p.send_signal(signal.SIGINT)
    said(p, 'ends behind this message')
    gate.open.set()
    out, err = rest(p)
    assert p.returncode == LATER, err
    assert 'interrupted' in err and 'The same command again' in err
    assert merge.states() == {row: 'sent' for row in range(1, 5)} and peer.subjects() == once(4)
    peer.right()
    assert merge.run()[0] == OK
    assert peer.subjects() == once(10)


def test_two_interrupts(merge, peer):
    gate = Gate(peer, 0)
    p = merge.rows(3).start()
    assert gate.reached.wait(120)
    p.send_signal(signal.SIGINT)
    said(p, 'once more ends at once')
    p.send_signal(signal.SIGINT)
    rest(p)
    assert p.returncode == -signal.SIGINT and not gate.open.is_set()  # it waited for no answer
    gate.open.set()
    peer.right()
    assert merge.run()[0] == REFUSED
    assert merge.states() == {1: 'doubtful', 2: 'sent', 3: 'sent'}


def test_two_at_once(merge, peer):
    gate = Gate(peer, 1)
    p = merge.rows(5).start()
    assert gate.reached.wait(120)
    status, out, err = merge.run()
    gate.open.set()
    assert status == REFUSED and 'another run is at work' in err
    rest(p)
    assert peer.subjects() == once(5)


def test_list_or_template_changed(merge, peer):
    peer.answer['rcpt'] = lambda s, line: '450 4.2.1 busy' if b'p2@' in line else TAKEN
    assert merge.rows(3).run()[0] == LATER
    peer.right()
    merge.rows(4)
    status, out, err = merge.run()
    assert status == REFUSED and 'another list, or the list was changed' in err
    merge.rows(3)
    merge.template.write_text(TEMPLATE + 'More.\n')
    status, out, err = merge.run()
    assert status == REFUSED and '--changed-template' in err and 'row-2' not in peer.subjects()
    assert merge.run('--changed-template')[0] == OK
    assert peer.subjects() == once(3) and b'More.' in peer.bodies['row-2']
    assert merge.run()[0] == OK  # it is the one that counts now


def test_a_result_file_that_is_none(merge, peer):
    before = merge.rows(3).list.read_bytes()
    status, out, err = merge.run('--result', str(merge.list))
    assert status == REFUSED and 'is no result of this command' in err
    assert merge.list.read_bytes() == before and peer.connects == 0


# ---- servers ----

def test_few_messages_in_a_connection(merge, peer):
    """LIMITS (RFC 9422): MAILMAX."""
    peer.answer['ehlo'] += '\n250 LIMITS MAILMAX=4'
    peer.answer['ehlo'] = peer.answer['ehlo'].replace('250 ENH', '250-ENH')
    assert merge.rows(12).run()[0] == OK
    assert peer.subjects() == once(12) and peer.connects == 3


@pytest.mark.parametrize('how', ['421', 'close'])
def test_a_server_that_goes_away(merge, peer, how):
    """Behind three messages of a connection, with a word or without one."""
    def mail(session, line):
        session.mails = getattr(session, 'mails', 0) + 1
        return TAKEN if session.mails < 4 else CLOSE if how == 'close' else '421 4.3.2 enough'
    peer.answer['mail'] = mail
    status, out, err = merge.rows(12).run()
    assert status == OK, err
    assert peer.subjects() == once(12) and peer.connects == 4


def test_a_server_that_hangs_up_behind_each(merge, peer):
    def final(session, line):
        peer.take(session, line)
        session.to = []
        session.say(TAKEN)
        return CLOSE
    peer.answer['final'] = final
    status, out, err = merge.rows(6).run()
    assert status == OK, err
    assert peer.subjects() == once(6)


def test_the_server_starts_anew(merge, peer):
    peer.answer['final'] = lambda s, line: time.sleep(0.05) or TAKEN
    p = merge.rows(40).start()
    deadline = time.monotonic() + 60
    while len(peer.taken) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    peer.shut()
    peer.kick()
    said(p, 'waiting for')
    peer.listen()
    out, err = rest(p)
    doubtful = {f'row-{row}' for row, state in merge.states().items() if state == 'doubtful'}
    assert len(doubtful) <= 1
    assert p.returncode == (REFUSED if doubtful else OK), err
    got = peer.subjects()
    assert all(count == 1 for count in got.values()) and set(once(40)) - set(got) <= doubtful


def test_no_answer_to_the_dot(merge, peer):
    """Whether the server has it nobody knows: named, and not sent again."""
    peer.answer['final'] = lambda s, data: CLOSE if b'row-2\r' in data else TAKEN
    status, out, err = merge.rows(4).run()
    assert status == REFUSED and merge.states() == {1: 'sent', 2: 'doubtful', 3: 'sent', 4: 'sent'}
    assert '1 in doubt' in out and '--retry-doubtful' in err and 'p2@example.org' in err
    peer.right()
    assert merge.run()[0] == REFUSED and 'row-2' not in peer.subjects()
    assert merge.run('--retry-doubtful')[0] == OK
    assert peer.subjects() == once(4)


@pytest.mark.parametrize('step, answer', [('mail', '451 4.7.1 too many messages'), ('rcpt', '450 4.7.1 rate limit exceeded'),
                                          ('final', '421 4.7.0 slow down'), ('mail', '450 4.2.2 quota exceeded')])
def test_a_server_that_wants_it_slower(merge, peer, step, answer):
    until = []

    def say(session, line):
        if len(peer.taken) == 3 and not until:
            until.append(time.monotonic() + 1.5)
        return answer if until and time.monotonic() < until[0] else TAKEN
    peer.answer[step] = say
    status, out, err = merge.rows(8).run()
    assert status == OK, err
    assert 'waiting for' in err and peer.subjects() == once(8)


def test_a_server_that_lets_nobody_in(merge, peer):
    """For a while, and after messages that it took."""
    greetings = ['220 peer.test ESMTP', '421 4.7.0 try again later', '421 4.7.0 try again later']

    def final(session, data):
        if len(peer.taken) < 2 or session.number > 1:
            return TAKEN
        peer.take(session, data)
        session.say(TAKEN)
        return CLOSE

    def greeting(session, line):
        session.number = peer.connects
        return greetings[session.number - 1] if session.number <= 3 else greetings[0]
    peer.answer.update(final=final, greeting=greeting)
    status, out, err = merge.rows(8).run()
    assert status == OK, err
    assert 'try again later; waiting for 1 s' in err and 'waiting for 2 s' in err and peer.subjects() == once(8)


def test_an_interrupt_while_it_waits(merge, peer):
    peer.answer['mail'] = lambda s, line: TAKEN if len(peer.taken) < 2 else '451 4.7.1 quota exceeded'
    pause = merge.to.index('--pause') + 1
    merge.to[pause] = '600'
    p = merge.rows(30).start()
    said(p, 'waiting for 600 s')
    p.send_signal(signal.SIGINT)
    rest(p)  # within less
    assert p.returncode == LATER
    merge.to[pause] = '1'
    peer.right()
    assert merge.run()[0] == OK and peer.subjects() == once(30)


def test_rate(merge, peer):
    status, out, err = merge.rows(14).run('--rate', '240/min')
    assert status == OK, err
    assert paced(peer, 14), peer.times


def paced(peer, n):
    """A quarter of a second between messages, but for the first, which waits for the connection; who was held up in the
    middle of one makes up for less than two of these."""
    return peer.times[n - 1] - peer.times[1] >= (n - 4) * 0.25


def test_rate_of_an_account(merge, peer, tmp_path):
    """And its name and address, where the template has no From."""
    (tmp_path / 'accounts').write_text(
        f'accounts:\n  news:\n    url: smtps://127.0.0.1:{peer.port}\n    from: news@example.org\n'
        f'    name: The News\n    fingerprints: [{peer.pin}]\n    messages_per_minute: 240\n')
    os.chmod(tmp_path / 'accounts', 0o600)
    merge.env['POSTERN_ACCOUNTS'] = str(tmp_path / 'accounts')
    merge.to = ['--account', 'news']
    merge.template.write_text('To: {{email}}\nSubject: row-{{id}}\n\nx\n')
    status, out, err = merge.rows(9).run()
    assert status == OK, err
    assert paced(peer, 9), peer.times
    m = email.message_from_bytes(peer.bodies['row-1'], policy=email.policy.default)
    assert m['From'] == 'The News <news@example.org>' and m['Message-ID'].endswith('@example.org>')


def test_a_sender_that_is_refused(merge, peer):
    """All of them would be: one is tried, and none of them is lost."""
    peer.answer['mail'] = '550 5.7.1 you may not send as that'
    status, out, err = merge.rows(20).run()
    assert status == REFUSED and 'stopped: 550 5.7.1' in err and merge.states() == {1: 'deferred'}
    peer.right()
    assert merge.run()[0] == OK and peer.subjects() == once(20)


def test_messages_that_are_refused(merge, peer):
    """Five in the same way, then it stops; a recipient who is none stops nothing."""
    peer.answer['rcpt'] = lambda s, line: TAKEN if any(p in line for p in (b'p7@', b'p9@')) else '550 5.1.1 no such user'
    status, out, err = merge.rows(10).run()
    assert status == REFUSED and '2 of 10 sent, 8 refused' in out and err.count('was refused') == 8
    peer.right()
    assert merge.run()[0] == REFUSED and len(peer.subjects()) == 2
    peer.answer['final'] = '554 5.7.1 looks like spam'
    status, out, err = merge.run('--retry-refused')
    assert status == REFUSED and '5 messages in a row were refused in the same way' in err
    peer.right()
    assert merge.run('--retry-refused')[0] == OK and peer.subjects() == once(10)


def test_nobody_listens(merge, peer):
    peer.shut()
    status, out, err = merge.rows(5).run()
    assert status == NO_SERVER and 'stopped' in err and merge.states() == {1: 'deferred'}
    peer.listen()
    assert merge.run()[0] == OK and peer.subjects() == once(5)


def test_a_certificate_of_nobody(merge, peer):
    merge.to = ['--url', f'smtps://127.0.0.1:{peer.port}']
    status, out, err = merge.rows(5).run()
    assert status == REFUSED and '--pin' in err and merge.states() == {1: 'deferred'}
    assert not peer.taken


def test_later_at_the_end(merge, peer):
    """Greylisted: tried again when the others are through, and with the next call."""
    seen = collections.Counter()

    def rcpt(session, line):
        seen[line] += 1
        return '450 4.2.0 greylisted' if b'p2@' in line and seen[line] < 3 or b'p3@' in line and seen[line] < 2 else TAKEN
    peer.answer['rcpt'] = rcpt
    status, out, err = merge.rows(4).run()
    assert status == LATER and '3 of 4 sent, 1 not now' in out and merge.states()[2] == 'deferred'
    assert merge.run()[0] == OK and peer.subjects() == once(4)


def test_several_recipients_in_a_row(merge, peer):
    """Who has it does not get it again when another one of the row does."""
    merge.template.write_text('From: ann@example.org\nTo: {{email}}\nCc: c{{id}}@x.test\nBcc: all@x.test\nSubject: row-{{id}}\n\nx\n')
    peer.answer['rcpt'] = lambda s, line: '450 4.2.2 full' if b'c2@' in line else '550 5.1.1 no' if b'c3@' in line else TAKEN
    status, out, err = merge.rows(3).run()
    assert status == LATER and merge.states() == {1: 'sent', 2: 'deferred', 3: 'refused'}
    last = [j for j in merge.lines() if j.get('row') == 3][-1]
    assert [(r['address'], r['result']) for r in last['recipients']] == [
        ('p3@example.org', 'sent'), ('c3@x.test', 'refused'), ('all@x.test', 'sent')]
    peer.right()
    assert merge.run()[0] == REFUSED
    assert merge.run('--retry-refused')[0] == OK
    assert set(peer.taken.values()) == {1} and len(peer.taken) == 9
    assert b'all@x.test' not in peer.bodies['row-1']


def test_json(merge, peer):
    status, out, err = merge.rows(3).run('--json')
    j = json.loads(out)
    assert status == OK and err == ''
    assert (j['rows'], j['sent'], j['sent_before'], j['stopped'], j['exit'], j['left']) == (3, 3, 0, '', 0, 0)
    assert j['result'] == str(merge.results)


def test_progress_on_a_terminal_only(merge, peer):
    peer.answer['final'] = lambda s, line: time.sleep(0.1) or TAKEN
    ours, theirs = pty.openpty()
    p = subprocess.Popen(merge.rows(12).command(), stdout=subprocess.DEVNULL, stderr=theirs, stdin=subprocess.DEVNULL,
                         env=merge.env)
    os.close(theirs)
    text = b''
    while True:
        try:
            text += os.read(ours, 4096)
        except OSError:
            break
    assert p.wait(60) == OK
    assert re.search(rb'\d+ of 12 sent; \d+ a second; \d+s left', text), text
