"""postern route for people: whatever an answer holds, no line is longer than 79 columns, and no fact of --json is missing."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from zones import Zones  # noqa: E402

LONG = 'a-mail-server-with-a-name'
ADDRESSES = [f'AAAA fd00:1234:5678:9abc:def0:1111:2222:{n:x}' for n in range(1, 7)]
TEXT = 'This address is not used any longer; write to the office of the association instead, which answers within three days.'


@pytest.fixture(scope='module')
def world(make_server):
    z = Zones()
    z.add('far.test', {'@': [f'MX 10 {LONG}-one', f'MX 20 {LONG}-two'], f'{LONG}-one': ['A 127.0.0.9', *ADDRESSES],
                       f'{LONG}-two': ['A 127.0.0.8', 'TXT "x"']})
    z.add('null.test', {'@': ['MX 0 .']})
    z.add('bad.test', {'@': ['MX 10 mx']}, kind='bogus')
    z.add('gone.test', {'@': [f'MX 10 {LONG}-one']})
    with z:
        many = [f'department-number-{n}.example.org' for n in range(8)]
        config = {**z.config(), 'relay': {'loopback': True, 'mta_sts': False},
                  'routes': {'refused-on-purpose': {'to': many, 'via': 'refuse', 'text': TEXT},
                             'thrown': {'to': ['null.example.net'], 'via': 'discard', 'from': [f'sender{n}@example.org' for n in range(9)]},
                             'fixed': {'to': ['fixed.example.net'], 'via': 'host', 'hosts': ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'],
                                       'port': 2525}}}
        config['dns']['timeout'] = '4s'
        with make_server(config) as s:
            s.cli('domain', 'add', 'example.org')
            s.account('ann@example.org', 'correct horse battery')
            s.cli('alias', 'add', f'{LONG}-that-is-an-alias@example.org', 'somebody-far-away-from-here@far.test', 'ann@example.org')
            yield s


def facts(value):
    """Each text of the JSON that tells something by itself."""
    if isinstance(value, dict):
        for key, v in value.items():
            if key in ('route', 'here', 'relay', 'where', 'hosts', 'failure', 'to', 'from', 'accounts', 'addresses', 'targets', 'text',
                       'words', 'host', 'name', 'mailbox', 'site', 'source', 'status', 'policy') or (
                    key == 'address' and not value.get('mailbox')):
                yield from facts(v)
    elif isinstance(value, list):
        for v in value:
            yield from facts(v)
    elif isinstance(value, str) and value:
        yield value


ROWS = [
    ('bob@far.test', ()),
    ('bob@null.test', ()),
    ('bob@bad.test', ()),
    ('bob@gone.test', ()),
    ('bob@nowhere.test', ()),
    ('bob@department-number-3.example.org', ()),
    ('bob@null.example.net', ('--sender', 'sender3@example.org')),
    ('bob@fixed.example.net', ()),
    ('ann@example.org', ()),
    (f'nobody-of-whom-anybody-has-ever-heard-{LONG}-{LONG}@example.org', ()),
    (f'{LONG}-that-is-an-alias@example.org', ()),
    ('x' * 60 + '@' + 'y' * 60 + '.test', ()),
]


@pytest.mark.parametrize('address, args', ROWS)
def test_lines(world, address, args):
    people, found = world.cli('route', *args, address, check=False), world.cli('route', '--json', *args, address, check=False)
    assert people.returncode == found.returncode
    lines = people.stdout.splitlines()
    # what is one word cannot be cut
    assert [line for line in lines if len(line) > 79 and ' ' in line.strip()] == []
    words = ' '.join(people.stdout.split())
    assert [f for f in facts(json.loads(found.stdout)) if ' '.join(f.split()) not in words] == []
    for line in lines[1:]:
        assert line.startswith('  ') or line in ('', lines[0]) or '@' in line or line.startswith('ATTENTION'), line


def test_the_margin(world):
    """What goes on in the next line stands below what it belongs to."""
    lines = world.cli('route', 'bob@far.test').stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith('  host      '))
    assert lines[at] == f'  host      {LONG}-one.far.test'
    assert lines[at + 1].startswith(' ' * 12 + '(fd00:') and lines[at + 2].startswith(' ' * 12 + 'fd00:')


def test_providers(binary):
    p = subprocess.run([binary, 'route', '--providers'], capture_output=True, text=True, timeout=60, check=True)
    assert all(len(line) <= 79 for line in p.stdout.splitlines())
