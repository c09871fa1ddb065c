"""Each role within its walls, on the release build: what it tries that it must not is refused.

The attempts, and what must come of them, are the rows of tests/rogue/attempts_*.c; here
they are run, and the walls are looked at from outside.
"""
import collections
import os
import re
import signal
import subprocess
import time

import pytest

ROLES = ['smtp', 'queue', 'keeper', 'ledger', 'local', 'admin', 'fetch']
NOBODY = 65534
MAY = {'smtp': ('TCP socket, IPv4', 'Unix socket'), 'fetch': ('TCP socket, IPv4',)}  # to other servers


def as_nobody(make_server, program, **more):
    """A server started by a user without rights.  The program is called by a script, as server.py calls one."""
    s = make_server({'smtp_processes': 1}, **more)
    wrapper = os.path.join(s.folder, 'postern')
    with open(wrapper, 'w') as f:
        f.write(f'#!/bin/sh\nexec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {program} "$@"\n')
    os.chmod(wrapper, 0o755)
    s.binary = wrapper
    os.chown(s.folder, NOBODY, NOBODY)
    for name in os.listdir(s.folder):
        os.chown(os.path.join(s.folder, name), NOBODY, NOBODY)
    return s


def as_users(make_server, program, **more):
    """Each role as a user of its own: rogue.c makes them up."""
    return make_server({'smtp_processes': 1, 'user': 'rogue', 'mailboxes': {'user': 'rogue-local', 'group': ''}},
                       program=program, **more)


def start(kind, make_server, program, **more):
    if os.getuid() != 0 and kind == 'users':
        pytest.skip('needs root')
    if os.getuid() != 0:
        return make_server({'smtp_processes': 1}, program=program, **more)
    return (as_nobody if kind == 'nobody' else as_users)(make_server, program, **more)


def plan(server, text):
    os.makedirs(server.config['runtime_dir'], exist_ok=True)
    os.chmod(server.config['runtime_dir'], 0o777)
    with open(os.path.join(server.config['runtime_dir'], 'rogue'), 'w') as f:
        f.write(text)
    os.chmod(f.name, 0o644)


def bait(server):
    folder = os.path.join(server.folder, 'bait')
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    return folder


def results(log):
    """(role, attempt): (got, verdict)"""
    return {m.group(1, 2): m.group(3, 4)
            for m in re.finditer(r'^rogue role=(\w+) attempt="(.*)" got=(\S+) (\S+)$', log, re.M)}


@pytest.mark.parametrize('kind', ['nobody', 'users'])
def test_what_a_role_tries_is_refused(make_server, release, kind):
    s = start(kind, make_server, os.path.join(release, 'rogue'))
    plan(s, f'walls {bait(s)}')
    with s:
        log = s.log_text()
        got = results(log)
        wrong = {k: v for k, v in got.items() if v[1] != 'as-wanted'}
        assert not wrong
        for role in ROLES:
            there = [a for r, a in got if r == role]
            assert len(there) > 120, (role, len(there))
            assert got[role, 'read /etc/passwd'][0] == 'EACCES'
            assert got[role, 'run a program'][0] == 'killed'
            assert got[role, 'TCP socket, IPv4'][0] == ('allowed' if role in ('smtp', 'fetch') else 'EACCES')
            assert got[role, 'UDP socket, IPv4'][0] == ('allowed' if role == 'smtp' else 'EACCES')
            assert got[role, 'io_uring_setup()'][0] == 'EPERM'
        # And with walls around it the server works.
        s.cli('domain', 'add', 'example.org')
        s.account('ann@example.org', 'not used')


def test_without_walls_the_attempts_succeed(make_server, release):
    """Else they would prove nothing."""
    s = start('nobody', make_server, os.path.join(release, 'rogue'), args=['--no-sandbox'])
    plan(s, f'walls {bait(s)}')
    with s:
        got = results(s.log_text())
    for role in ROLES:
        for attempt in ('read /etc/passwd', 'create in it', 'chmod()', 'rename()', 'TCP socket, IPv4', 'Unix socket',
                        'a new process', 'signal another', 'socketpair()', 'memory written, then run',
                        'be looked into', 'open again by O_PATH', 'io_uring_setup()'):
            if attempt not in MAY.get(role, ()):
                assert got[role, attempt][1] == 'WRONG', (role, attempt)
        assert got[role, 'read /etc/passwd'][0] == 'allowed'


def pids(server):
    found = subprocess.run(['ps', '-o', 'pid=,args=', '-g', str(server.process.pid)], capture_output=True, text=True)
    out = {}
    for line in found.stdout.splitlines():
        pid, *words = line.split()
        if 'serve' in words and 'setpriv' not in words:
            out['main'] = int(pid)
        elif 'role' in words:
            out[words[words.index('role') + 1]] = int(pid)
    return out


def status(pid):
    with open(f'/proc/{pid}/status') as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def descriptors(pid):
    """What is open, by kind."""
    out = collections.Counter()
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try:
            to = os.readlink(f'/proc/{pid}/fd/{fd}')
        except FileNotFoundError:
            continue
        out[re.sub(r'\[\d+\]', '', to)] += 1
    return out


@pytest.mark.skipif(os.getuid() != 0, reason='looks into processes of others')
@pytest.mark.parametrize('kind', ['nobody', 'users'])
def test_the_release_build_from_outside(make_server, release, kind):
    """The program that is installed, not the test's: what the kernel says of its processes."""
    program = os.path.join(release, 'rogue' if kind == 'users' else 'postern')
    with start(kind, make_server, program) as s:
        there = pids(s)
        assert set(there) == set(ROLES) | {'main'}
        users = set()
        for role, pid in there.items():
            st = status(pid)
            with open(f'/proc/{pid}/limits') as f:
                assert re.search(r'^Max core file size +0 +0 ', f.read(), re.M), role
            # Not to be looked into, so its files in /proc are root's.
            assert os.stat(f'/proc/{pid}/mem').st_uid == 0, role
            if role == 'main':
                continue
            assert st['Seccomp'] == '2' and st['NoNewPrivs'] == '1', (role, st)
            caps = {st[c] for c in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb')}
            assert caps == {'0' * 16}, (role, st)
            if kind == 'users':
                assert st['CapBnd'] == '0' * 16, (role, st)
            uids, gids = set(st['Uid'].split()), set(st['Gid'].split())
            assert len(uids) == len(gids) == 1 and uids != {'0'} and gids != {'0'}, (role, st)
            assert st['Groups'].strip() == '', (role, st)
            users |= uids
        assert len(users) == (len(ROLES) if kind == 'users' else 1)
        if kind == 'users':
            st = status(there['main'])
            # bind, users and groups, owners of folders, ending the roles: nothing else
            assert int(st['CapEff'], 16) == sum(1 << c for c in (0, 1, 3, 5, 6, 7, 8, 10)), st['CapEff']


# Beyond: 0 /dev/null; 1, 2 the log; anonymous inodes of the loop; its memory statistics.
EVERYBODY = {'/dev/null', 'anon_inode:[eventpoll]', 'anon_inode:[eventfd]', 'pipe:', 'socket:'}


@pytest.mark.skipif(os.getuid() != 0, reason='looks into processes of others')
def test_each_role_holds_what_it_must_and_nothing_else(make_server, release):
    with start('users', make_server, os.path.join(release, 'rogue')) as s:
        log = s.log_text()
        s.cli('domain', 'add', 'example.org')
        there = pids(s)
        for role in ROLES:
            first = dict(re.findall(rf'^rogue role={role} descriptor=(\d+) to=(.*)$', log, re.M))
            assert set(first) == {'0', '1', '2', '3', '5'}, (role, first)
            assert first['5'] == s.config['state_dir'] + '/lock.roles'
            assert first['0'] == '/dev/null' and first['1'] == first['2'] == s.log_file
            assert first['3'].startswith('socket:')
            names = set(re.findall(rf'^rogue role={role} environment=(\S+)$', log, re.M))
            assert names <= {'HOME', 'TZ', 'LANG', 'XDG_STATE_HOME'}, (role, names)
            own = {'queue': s.config['state_dir'] + '/spool', 'keeper': s.config['state_dir'] + '/accounts',
                   'ledger': s.config['state_dir'] + '/ledger', 'local': s.mail_dir}.get(role, '/nowhere')
            beyond = {to for to in descriptors(there[role])
                      if to not in EVERYBODY and not to.startswith(own) and to not in (s.log_file, first['5'])
                      and not re.fullmatch(r'/proc/\d+/statm', to) and 'anon_inode' not in to}
            assert not beyond, (role, beyond)
        # Listening sockets: smtp's ports, nobody else's.
        for role in ROLES:
            out = subprocess.run(['ss', '-ltnpH'], capture_output=True, text=True).stdout
            listens = [line for line in out.splitlines() if f'pid={there[role]},' in line]
            assert bool(listens) == (role == 'smtp'), (role, listens)
