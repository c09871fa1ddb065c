"""Messages as `postern send` and sendmail make them, read by Python's email package."""
import email
import email.header
import email.policy
import email.utils
import json
import os
import random
import subprocess

import pytest

UMLAUT = 'Jörg Müller'


@pytest.fixture
def draft(binary):
    """draft(*args, stdin=b''): exit status, the message's octets, what is told of it."""
    program = os.path.join(os.path.dirname(binary), 'draft')

    def run(*args, stdin=b''):
        p = subprocess.run([program, *args], input=stdin, capture_output=True, timeout=120)
        try:
            told = json.loads(p.stderr)
        except ValueError:
            told = p.stderr.decode()
        return p.returncode, p.stdout, told
    return run


@pytest.fixture
def compose(draft):
    """compose(text='...', header=[...]): the message as Python reads it, after what every message must be."""
    def run(**parts):
        args = []
        for name, value in parts.items():
            args += [f'{name.replace("_", "-")}={v}' for v in (value if isinstance(value, list) else [value])]
        status, raw, told = draft('compose', *args)
        assert status == 0, told
        return well_formed(raw, told)
    return run


def well_formed(raw, told):
    lines = raw.split(b'\r\n')
    assert lines[-1] == b'' and all(b'\n' not in line and b'\r' not in line and len(line) <= 998 for line in lines)
    header = raw[:raw.index(b'\r\n\r\n')]
    assert max(len(line) for line in header.split(b'\r\n')) <= 78 or b'long-word' in header
    assert told['eightbit'] or raw.isascii()
    m = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    m.raw, m.told = raw, told
    for part in m.walk():
        assert not part.defects, part.defects
        for name in part.keys():
            assert told['smtputf8'] or not part[name].defects, (name, part[name], part[name].defects)
    return m


def people(m, field):
    """Names and addresses.  Python's newer parser puts blanks between the encoded-words of a name, against RFC
    2047 6.2; its older one does not."""
    raw = email.message_from_bytes(m.raw)[field]
    pairs = email.utils.getaddresses([str(raw).replace('\r\n', '')])
    return [(str(email.header.make_header(email.header.decode_header(n))), a) for n, a in pairs]


def text_of(part):
    return part.get_content().replace('\r\n', '\n')


SUBJECTS = [
    'hello',
    'Grüße aus Köln',
    'Re: naïve café – “quotes” and ‘more’, plain words behind',
    '😀' * 60,
    '日本語の件名がとても長い場合には、折り返されなければならない。' * 5,
    '=?utf-8?q?not_encoded?= by us',
    'a' * 300 + ' long-word',
    'tabs\tand  two blanks',
    'x' * 60 + ' ü ' + 'y' * 60,
    '👨‍👩‍👧‍👦 family, 🏳️‍🌈 flag',
    '?= =? ?q? ="',
]


@pytest.mark.parametrize('subject', SUBJECTS, ids=range(len(SUBJECTS)))
def test_subject(compose, subject):
    m = compose(**{'from': 'ann@example.com', 'to': 'bob@example.org', 'subject': subject, 'text': 'x'})
    assert m['Subject'] == subject


NAMES = [
    ('Ann Roe', 'ann@example.com'),
    ('Roe, Ann', 'ann@example.com'),
    (UMLAUT, 'joerg@example.com'),
    ('Dr. "Bob" O\'Neill \\ Sons', 'bob@example.com'),
    ('株式会社サンプル営業部', 'info@example.jp'),
    ('😀 Smile', 'smile@example.com'),
    ('a@b.example', 'really@example.com'),
    ('Very Long Name ' * 6 + 'X', 'long@example.com'),
    ('=?utf-8?q?x?=', 'x@example.com'),
    ('(comment)', 'x@example.com'),
]


@pytest.mark.parametrize('name, address', NAMES, ids=range(len(NAMES)))
def test_name(compose, name, address):
    quoted = name.replace('\\', '\\\\').replace('"', '\\"')
    m = compose(**{'from': f'"{quoted}" <{address}>', 'to': f'bob@example.org, "{quoted}" <{address}>', 'text': 'x'})
    assert people(m, 'From') == [(name, address)]
    assert people(m, 'To') == [('', 'bob@example.org'), (name, address)]
    assert [a.addr_spec for a in m['To'].addresses] == ['bob@example.org', address]
    assert m.told['sender'] == address
    assert m.told['recipients'] == ['bob@example.org', address]


def test_groups_and_many(compose):
    everybody = ', '.join(f'Person Number {i} <person{i}@example.org>' for i in range(200))
    m = compose(**{'from': 'ann@example.com', 'to': 'Friends: a@example.org, Bö <b@example.org>;, none:;',
                   'cc': everybody, 'bcc': 'secret@example.org', 'text': 'x'})
    assert [g.display_name for g in m['To'].groups] == ['Friends', 'none']
    assert [a.addr_spec for a in m['To'].addresses] == ['a@example.org', 'b@example.org']
    assert len(m['Cc'].addresses) == 200
    assert len(m.told['recipients']) == 203
    assert b'secret' not in m.raw


def test_international_address(compose):
    m = compose(**{'from': 'jörg@bücher.example', 'to': 'bob@bücher.example', 'text': 'x'})
    assert m['To'].addresses[0].addr_spec == 'bob@xn--bcher-kva.example'
    assert 'From: jörg@xn--bcher-kva.example\r\n'.encode() in m.raw
    assert m.told['smtputf8'] and m.told['eightbit']
    m = compose(**{'from': 'ann@bücher.example', 'to': 'bob@bücher.example', 'text': 'x'})
    assert not m.told['smtputf8'] and m.raw.isascii()


TEXTS = [
    'hello\n',
    'From the beginning\n.\n..\n \nblanks  \n\n\n',
    'Grüße\n',
    '😀' * 500 + '\n',
    'x' * 5000 + '\n',
    '=20=\n= \n',
    '日本語\n' * 200,
    '--=_m\n--=_a.0=--\n',
    '\x00\x01\x7f\n',
    '',
]


@pytest.mark.parametrize('eightbit', [False, True])
@pytest.mark.parametrize('text', TEXTS, ids=range(len(TEXTS)))
def test_text(compose, tmp_path, text, eightbit):
    (tmp_path / 'text').write_text(text)
    more = {'8bit': '1'} if eightbit else {}
    m = compose(**{'from': 'ann@example.com', 'to': 'bob@example.org', 'text': f'@{tmp_path}/text', **more})
    assert text_of(m) == text
    m = compose(**{'from': 'ann@example.com', 'to': 'bob@example.org', 'text': f'@{tmp_path}/text',
                   'html': f'@{tmp_path}/text', **more})
    assert m.get_content_type() == 'multipart/alternative'
    assert [p.get_content_type() for p in m.iter_parts()] == ['text/plain', 'text/html']
    assert all(text_of(p) == text for p in m.iter_parts())


FILES = ['a.pdf', 'Rechnung März 2027.pdf', 'say "hi".txt', 'back\\slash', '日本語のとても長いファイル名' * 5 + '.docx',
         'x' * 200 + '.bin', '=?x', "it's 100%; a=b.csv", '😀.png']


@pytest.mark.parametrize('name', FILES, ids=range(len(FILES)))
def test_attachment(compose, tmp_path, name):
    octets = random.Random(name).randbytes(5001)
    (tmp_path / 'file').write_bytes(octets)
    m = compose(**{'from': 'ann@example.com', 'to': 'bob@example.org', 'text': 'see there\n', 'html': '<p>see',
                   'attach': [f'{tmp_path}/file={name}', f'{tmp_path}/file=second.PNG']})
    assert m.get_content_type() == 'multipart/mixed'
    assert text_of(m.get_body(('plain',))) == 'see there\n'
    assert text_of(m.get_body(('html',))) == '<p>see\n'
    first, second = m.iter_attachments()
    assert first.get_filename() == name and second.get_filename() == 'second.PNG'
    assert first.get_payload(decode=True) == second.get_payload(decode=True) == octets
    assert second.get_content_type() == 'image/png'
    assert first.get_content_disposition() == 'attachment'


def test_text_attachment(compose, tmp_path):
    """Its character set is told where it is known."""
    long = ('ü' * 65_535 + '漢字😀') * 3
    for octets, charset in [(long.encode(), 'utf-8'), ('Grüße'.encode('latin-1'), None), (b'x' + long.encode()[:-1], None),
                            (b'x', 'utf-8'), (b'', None)]:
        (tmp_path / 'file').write_bytes(octets)
        m = compose(**{'from': 'ann@example.com', 'to': 'bob@example.org', 'attach': f'{tmp_path}/file=a.csv'})
        part, = m.iter_attachments()
        assert part.get_content_type() == 'text/csv' and part.get_content_charset() == charset
        assert part.get_payload(decode=True) == octets


def test_large_attachment(compose, tmp_path):
    """10 MB, and nothing else of the message."""
    octets = random.Random(1).randbytes(10_000_000)
    (tmp_path / 'large.zip').write_bytes(octets)
    (tmp_path / 'empty.txt').write_bytes(b'')
    m = compose(**{'from': 'ann@example.com', 'to': 'bob@example.org',
                   'attach': [f'{tmp_path}/large.zip', f'{tmp_path}/empty.txt']})
    large, empty = m.iter_attachments()
    assert large.get_content() == octets and large.get_filename() == 'large.zip'
    assert empty.get_content() == ''
    assert m.told['octets'] == len(m.raw)


def test_fields(compose):
    m = compose(**{'from': 'ann@example.com, Bea <bea@example.com>', 'sender': 'ann@example.com', 'to': 'bob@example.org',
                   'reply-to': f'{UMLAUT} <joerg@example.com>', 'text': 'x', 'one-click': '1',
                   'header': ['X-Mailer: a test', 'X-Note: Grüße', 'In-Reply-To: <1@example.org>'],
                   'unsubscribe': ['https://example.com/u?id=1', 'mailto:u@example.com']})
    assert m['Sender'].address.addr_spec == m.told['sender'] == 'ann@example.com'
    assert m['Reply-To'].addresses[0].display_name == UMLAUT
    assert m['X-Note'] == 'Grüße' and m['X-Mailer'] == 'a test' and m['In-Reply-To'] == '<1@example.org>'
    assert m['List-Unsubscribe'] == '<https://example.com/u?id=1>, <mailto:u@example.com>'
    assert m['List-Unsubscribe-Post'] == 'List-Unsubscribe=One-Click'
    assert m['Date'].datetime.timestamp() == 1795304383 and m['Message-ID'] == '<0TEST@client.example.net>'


def test_injection(draft):
    """Nobody gets a field into a message through a value, nor through a name."""
    good = ['from=ann@example.com', 'to=bob@example.org', 'text=x']
    evil = ['a\r\nBcc: evil@example.org', 'a\nBcc: evil@example.org', 'a\rBcc: evil@example.org', 'a\r\n\r\nbody']
    for value in evil:
        for key in ('subject', 'from', 'to', 'cc', 'reply-to', 'sender', 'bcc', 'envelope', 'unsubscribe'):
            status, raw, told = draft('compose', *good, f'{key}={value}')
            assert status in (64, 65) and raw == b'', (key, value)
        assert draft('compose', *good, f'header=X: {value}')[0] == 65
        assert draft('compose', *good, f'header={value}: x')[0] in (64, 65)
        assert draft('compose', *good, f'attach=/dev/null={value}')[0] == 65
    assert draft('compose', *good, 'header=Content-Type: text/html')[0] == 64
    assert draft('compose', *good, 'attach=/no/such/file')[2]['error'] == 2


def test_random_values(compose):
    """What can be typed reads back as it was typed."""
    r = random.Random(5)
    letters = 'abc XYZ,;:.<>()[]@"\\=?_-äöüß€漢字😀\u200d\u0301\t'
    for _ in range(60):
        subject = ''.join(r.choice(letters) for _ in range(r.randrange(1, 150))).strip(' \t') or 'x'
        name = ''.join(r.choice(letters) for _ in range(r.randrange(1, 90))).strip(' \t') or 'x'
        quoted = name.replace('\\', '\\\\').replace('"', '\\"')
        m = compose(**{'from': f'"{quoted}" <ann@example.com>', 'to': 'bob@example.org', 'subject': subject, 'text': 'x'})
        assert m['Subject'] == subject
        assert people(m, 'From') == [(name, 'ann@example.com')]


# what programs give to sendmail: arguments, standard input, envelope, fields that come out
SENDMAIL = {
    'php': (['-t', '-i'], b'To: bob@example.org\r\nSubject: Hi\r\nFrom: shop@example.com\r\nBcc: c@example.org\r\n\r\nText\r\n',
            ('www-data@host.example.net', ['bob@example.org', 'c@example.org']),
            {'From': 'shop@example.com', 'To': 'bob@example.org', 'Bcc': None}),
    'cron': (['-FCronDaemon', '-i', '-B8BITMIME', '-oem', 'root'],
             b'From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> x\nContent-Type: text/plain; charset=UTF-8\n\nout\n',
             ('www-data@host.example.net', ['root@host.example.net']),
             {'From': 'root@host.example.net', 'To': 'root@host.example.net'}),
    'git': (['-i', '-f', 'ann@example.com', 'bob@example.org', 'list@example.org'],
            b'From: Ann <ann@example.com>\nTo: bob@example.org\nCc: list@example.org\nSubject: [PATCH] x\n'
            b'Message-ID: <1-ann@example.com>\n\n---\n.\n diff\n',
            ('ann@example.com', ['bob@example.org', 'list@example.org']),
            {'Message-ID': '<1-ann@example.com>', 'Subject': '[PATCH] x'}),
    'mail': (['-Fäöü', 'bob'], b'Subject: x\n\nhello\n.\nnot this\n',
             ('www-data@host.example.net', ['bob@host.example.net']),
             {'From': 'äöü <www-data@host.example.net>', 'To': None}),
    'no header': (['bob@example.org'], b'just text\n', ('www-data@host.example.net', ['bob@example.org']), {'To': None}),
}


@pytest.mark.parametrize('program', SENDMAIL)
def test_sendmail(draft, program):
    args, stdin, envelope, fields = SENDMAIL[program]
    status, raw, told = draft('sendmail', *args, stdin=stdin)
    assert status == 0, told
    assert (told['sender'], told['recipients']) == envelope
    m = email.message_from_bytes(raw, policy=email.policy.SMTPUTF8)
    assert not m.defects and m['Date'] and m['Message-ID'] and m['From']
    for name, value in fields.items():
        assert str(m[name]) == value if value else m[name] is None, name
    body = raw[raw.index(b'\r\n\r\n') + 4:]
    assert b'not this' not in body and (program != 'git' or b'\r\n.\r\n' in body)


def test_sendmail_refusals(draft):
    for args, stdin, status in [
        (['-t'], b'Subject: nobody\n\n', 64),
        ([], b'', 64),
        (['-bd'], b'', 64),
        (['-t'], b'To: a b c\n\n', 65),
        (['a@@b'], b'', 65),
        (['bob', '-f', 'x y'], b'', 65),
        (['bob'], b'a\0b', 65),
    ]:
        got, raw, told = draft('sendmail', *args, stdin=stdin)
        assert got == status, (args, told)
        assert raw == b''
