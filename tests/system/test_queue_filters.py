"""`postern queue`: many messages at once, chosen by filters; and the queue by site."""
import os
import pty
import subprocess

from server import PATIENCE
from test_queue import blocked, send, wait_state  # noqa: F401
from test_trace import wait_kinds


def test_chosen_by_what_they_are(server, password, blocked):  # noqa: F811
    ids = [send(server, password, 'bob@example.org', str(i)) for i in range(3)]
    for i in ids:
        wait_state(server, i, 'deferred')

    def count(verb, *filters):
        return server.json('queue', verb, *filters)['done']
    # A deferred message for a mailbox is of the site "local".
    assert {r['id'] for r in server.json('queue', 'list', '--site', 'local')} >= set(ids)
    assert server.json('queue', 'list', '--site', 'mx.example.net') == []
    assert {r['id'] for r in server.json('queue', 'list', '--class', 'normal', '--state', 'deferred')} >= set(ids)
    assert server.json('queue', 'list', '--class', 'bulk') == []
    assert server.json('queue', 'list', '--class', 'greylist') == []
    p = server.cli('queue', 'list', '--class', 'nonsense', check=False)
    assert p.returncode == 1 and 'no such class' in p.stderr
    assert count('hold', '--sender', 'ann@example.org', '--id', ids[0]) == 1
    assert count('release', '--state', 'held') == 1
    assert count('remove', '--id', ids[0]) == 1
    m = wait_kinds(server, ids[0], 'accepted', 'deferred', 'held', 'released', 'removed')
    assert [e.get('by') for e in m['events'] if e['kind'] in ('held', 'released', 'removed')] == ['administrator'] * 3
    assert m['queue'] is None
    assert count('retry', '--domain', 'example.org') >= 2
    wait_kinds(server, ids[1], 'retried')
    p = server.cli('queue', 'remove', '--recipient', 'bob@example.org')
    assert p.stdout.startswith('remove: ') and p.stdout.endswith('messages\n')


def test_asked_before_all_is_gone(server, password, blocked):  # noqa: F811
    ident = send(server, password, 'bob@example.org', 'x')
    wait_state(server, ident, 'deferred')
    p = server.cli('queue', 'remove', '--all', check=False)
    assert p.returncode == 2 and '--yes' in p.stderr

    def with_terminal(answer, *args):
        ours, theirs = pty.openpty()
        os.write(ours, answer.encode())
        p = subprocess.run([server.binary, 'queue', *args], stdin=theirs, capture_output=True, text=True, timeout=PATIENCE,
                           env=dict(server.env, POSTERN_RUNTIME_DIR=server.config['runtime_dir']))
        os.close(ours)
        os.close(theirs)
        return p
    p = with_terminal('n\n', 'remove', '--all')
    assert p.returncode == 1 and 'Nothing was done' in p.stderr and 'message' in p.stderr
    wait_state(server, ident, 'deferred')
    p = with_terminal('y\n', 'remove', '--id', ident)
    assert p.returncode == 0 and '1 message matches. Remove it?' in p.stderr
    assert p.stdout == 'remove: 1 message\n'
    wait_state(server, ident, None)


def test_by_site(server, password, blocked):  # noqa: F811
    server.cli('queue', 'remove', '--all', '--yes')
    assert server.cli('queue', 'summary').stdout == 'The queue is empty.\n'
    assert server.json('queue', 'summary') == []
    ids = [send(server, password, 'bob@example.org', str(i)) for i in range(2)]
    for i in ids:
        wait_state(server, i, 'deferred')
    row, = server.json('queue', 'summary')
    assert (row['site'], row['messages'], row['deferred']) == ('local', 2, 2)
    assert sum(row['ages']) == 2 and row['ages'][0] == 2
    text = server.cli('queue', 'summary').stdout
    assert text.splitlines()[1].split()[:3] == ['local', '2', '2']
    assert max(map(len, text.splitlines())) < 80
    assert server.cli('queue', 'summary', '--id', 'x', check=False).returncode == 2
    server.cli('queue', 'remove', '--all', '--yes')
