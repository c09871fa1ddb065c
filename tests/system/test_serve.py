"""The server as a whole: start, crash of each role, reload, drain, and what it says when it cannot."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
from server import PATIENCE

ROLES = ('smtp', 'queue', 'keeper', 'ledger', 'local', 'admin', 'fetch')
NOBODY = 65534


def status(server):
    return json.loads(server.cli('status', '--json').stdout)


def main_of(server):
    return next(r for r in status(server)['roles'] if r['role'] == 'main')


def pids(server):
    return {(p['role'], p['index']): p['pid'] for p in main_of(server)['processes']}


def alive(pid):
    """Zombies count as gone: whoever inherits them may never fetch them."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def wait_until(what, timeout=PATIENCE):
    deadline = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < deadline, 'waited in vain'
        time.sleep(0.05)


class Session:
    """One line, one answer."""
    def __init__(self, address, family=socket.AF_INET):
        self.s = socket.socket(family)
        self.s.settimeout(PATIENCE)
        self.s.connect(address)
        self.f = self.s.makefile('rwb')

    def answer(self):
        while True:
            line = self.f.readline().decode()
            if line[3:4] != '-':
                return line.strip()

    def say(self, line):
        self.f.write(line.encode() + b'\r\n')
        self.f.flush()
        return self.answer()


def submit(server, subject='hello'):
    """Through the Unix socket; returns the last answer."""
    s = Session(os.path.join(server.config['runtime_dir'], 'submit.sock'), socket.AF_UNIX)
    s.answer()
    for line in ('EHLO test', 'MAIL FROM:<root@mx.example.org>', 'RCPT TO:<x@elsewhere.example>', 'DATA'):
        last = s.say(line)
        if last[0] not in '23':
            return last
    return s.say(f'Subject: {subject}\r\n\r\nbody\r\n.')


def run_serve(server, *args, **more):
    """A serve that should fail; its exit status and words."""
    p = subprocess.run([server.binary, 'serve', '-c', server.config_file, *args], capture_output=True, text=True,
                       timeout=PATIENCE, env=server.env, **more)
    return p.returncode, p.stderr


def test_status(make_server):
    with make_server() as s:
        m = main_of(s)
        assert {p['role'] for p in m['processes']} == set(ROLES)
        assert all(p['ready'] for p in m['processes'])
        assert {l['listener'] for l in m['listeners']} >= {'relay', 'submissions', 'submission', 'fallback'}
        assert m['certificates'][0]['self_signed'] and m['certificates'][0]['not_after'] > time.time()
        assert 'OpenSSL' in m['libraries']
        for r in status(s)['roles']:
            if r['role'] != 'main':
                assert 'seccomp' in r['sandbox']
        words = s.cli('status').stdout
        for expected in ('PROCESS', 'keeper', 'LISTENER', 'submissions', 'self-signed', 'libuv',
                         'logins: open 0, succeeded 0', 'accepting yes', s.config['hostname'] + ': until '):
            assert expected in words, expected
        assert m['certificates'][0]['names'] == [s.config['hostname']]


def test_a_second_server_is_refused(make_server):
    with make_server() as s:
        code, words = run_serve(s, '--port-offset', str(s.offset + 7))
        assert code == 1 and f'process {s.process.pid}' in words and 'Stop that one first' in words
        assert s.json('version')['version'] == main_of(s)['version']


def test_roles_run_as_somebody_else(make_server):
    if os.getuid() != 0:
        pytest.skip('needs root')
    with make_server() as s:
        for pid in pids(s).values():
            with open(f'/proc/{pid}/status') as f:
                text = f.read()
            assert re.search(r'^Uid:\t65534\t65534\t65534\t65534$', text, re.M)
            assert re.search(r'^CapEff:\t0+$', text, re.M) and re.search(r'^CapBnd:\t0+$', text, re.M)
            assert re.search(r'^NoNewPrivs:\t1$', text, re.M) and re.search(r'^Seccomp:\t2$', text, re.M)
            assert re.search(r'^Groups:\t *$', text, re.M)


@pytest.mark.parametrize('role', ROLES)
def test_a_crash_is_survived(make_server, role):
    with make_server() as s:
        before = pids(s)
        assert submit(s).startswith('250')
        for (name, _), pid in before.items():
            if name == role:
                os.kill(pid, signal.SIGKILL)
        s.wait_log('event=role-died role=' + role)

        def back():
            p = s.cli('status', '--json', check=False)
            if p.returncode:
                return False
            m = next((r for r in json.loads(p.stdout)['roles'] if r['role'] == 'main'), None)
            return m and all(p['ready'] for p in m['processes'])
        wait_until(back)
        after = pids(s)
        for key, pid in before.items():
            assert (after[key] != pid) == (key[0] == role), f'only {role} is started anew'
        wait_until(lambda: submit(s).startswith('250'))


def test_nothing_outlives_main(make_server):
    s = make_server()
    try:
        s.start()
        children = pids(s).values()
        s.process.kill()
        s.process.wait()
        wait_until(lambda: not any(alive(p) for p in children))
    finally:
        s.close()


def test_reload(make_server):
    with make_server() as s:
        old = Session(('127.0.0.1', s.port['relay']))
        assert old.answer().startswith('220')
        before = pids(s)
        s.config['listeners']['fallback']['enabled'] = False
        s.config['listeners']['extra'] = {'role': 'submission', 'port': 2600, 'tls': 'starttls', 'addresses': ['127.0.0.1']}
        s.write_config()
        words = s.cli('reload').stdout
        assert 'fallback' in words and 'extra' in words
        Session(('127.0.0.1', 2600 + s.offset))
        with pytest.raises(OSError):
            Session(('127.0.0.1', s.port['fallback']))
        assert old.say('NOOP').startswith('250'), 'the session goes on'
        assert Session(('127.0.0.1', s.port['relay'])).answer().startswith('220')
        assert pids(s) == before


def test_bad_reload_changes_nothing(make_server):
    with make_server() as s:
        s.config['listeners']['fallback']['enabled'] = False
        s.config['hostnmae'] = 'x.example.org'
        s.config['postmastr'] = 'x'
        s.write_config()
        p = s.cli('reload', check=False)
        assert p.returncode == 1
        assert 'hostnmae' in p.stderr and "'hostname'" in p.stderr and 'postmastr' in p.stderr, 'all errors in one run'
        assert re.search(r'postern\.conf:\d+: ', p.stderr)
        assert Session(('127.0.0.1', s.port['fallback']))
        begin = len(s.log_text())
        s.process.send_signal(signal.SIGHUP)
        s.wait_log('event=reload-failed', begin=begin)
        assert main_of(s)['generation'] == 1


def test_sighup_reloads(make_server):
    with make_server() as s:
        s.process.send_signal(signal.SIGHUP)
        s.wait_log('event=reloaded')
        assert main_of(s)['generation'] == 2


def test_a_restarted_role_has_the_new_configuration(make_server):
    with make_server() as s:
        s.config['listeners']['extra'] = {'role': 'submission', 'port': 2600, 'tls': 'starttls', 'addresses': ['127.0.0.1']}
        s.write_config()
        s.cli('reload')
        for (role, _), pid in pids(s).items():
            if role == 'smtp':
                os.kill(pid, signal.SIGKILL)
        # The socket is main's: it waits in the backlog meanwhile.
        assert Session(('127.0.0.1', 2600 + s.offset)).answer().startswith('220')


def test_what_is_fixed_stays_until_the_next_start(make_server):
    """After any number of reloads, and in a role that is started anew after them."""
    with make_server() as s:
        s.cli('domain', 'add', 'example.org')
        mine = s.config
        elsewhere = dict(mine, state_dir=s.folder + '/elsewhere', dovecot={'enabled': True, 'group': ''},
                         local_submission={'enabled': False})
        run = mine['runtime_dir']
        for config, want in ((elsewhere, 4), (elsewhere, 4), (dict(elsewhere, max_hops=50), 4), (mine, 0)):
            s.config = config
            s.write_config()
            answer = s.json('reload')
            assert len(answer['restart_needed']) == want, answer
            assert os.path.exists(run + '/submit.sock') and not os.path.exists(run + '/dovecot.sock')
            begin = s.log_text().count('role-died')
            os.kill(pids(s)[('keeper', 0)], signal.SIGKILL)
            wait_until(lambda: s.log_text().count('role-died') > begin)
            wait_until(lambda: ('keeper', 0) in pids(s))
            wait_until(lambda: s.cli('domain', 'show', 'example.org', check=False).returncode == 0)
        assert not os.path.exists(elsewhere['state_dir'])


def test_drain(make_server):
    with make_server() as s:
        children = pids(s).values()
        session = Session(('127.0.0.1', s.port['relay']))
        session.answer()
        session.say('EHLO c')
        s.process.send_signal(signal.SIGTERM)
        s.wait_log('event=draining')
        with pytest.raises(OSError):
            wait_until(lambda: not Session(('127.0.0.1', s.port['relay'])))
        with contextlib.suppress(OSError):
            session.say('QUIT')
        assert s.stop() == 0
        assert not any(alive(p) for p in children)
        assert not os.path.exists(os.path.join(s.config['runtime_dir'], 'control.sock'))


def test_a_second_signal_hurries(make_server):
    with make_server({'drain': '5m'}) as s:
        session = Session(('127.0.0.1', s.port['relay']))
        session.answer()
        session.say('EHLO c')
        session.say('MAIL FROM:<a@b.example>')
        s.process.send_signal(signal.SIGINT)
        s.wait_log('event=draining')
        time.sleep(0.3)
        if s.process.poll() is None:
            s.process.send_signal(signal.SIGINT)
        assert s.process.wait(PATIENCE) == 0


def test_bad_configuration(make_server):
    s = make_server({'hostnmae': 'x', 'listeners': {'relay': {'prot': 25}}})
    code, words = run_serve(s)
    s.close()
    assert code == 78
    assert re.search(r'postern\.conf:\d+: error: .*hostnmae', words) and re.search(r'postern\.conf:\d+: error: .*prot', words)


def test_no_such_configuration(make_server):
    s = make_server()
    os.unlink(s.config_file)
    code, words = run_serve(s)
    s.close()
    assert code == 78 and 'No such file' in words


def test_ports_in_use_are_all_named(make_server):
    s = make_server()
    held = [socket.create_server(('127.0.0.1', s.port[name])) for name in ('submission', 'fallback')]
    code, words = run_serve(s, '--port-offset', str(s.offset))
    for h in held:
        h.close()
    s.close()
    assert code == 77
    for name in ('submission', 'fallback'):
        assert f'port {s.port[name]}' in words
    assert f'process {os.getpid()} (' in words, 'who holds it'
    assert f"port {s.port['relay']} " not in words


def unprivileged(server, uid=NOBODY):
    """Popen's arguments to run as somebody who is not root, and who may read what he runs
    even where the tree lies in root's own folder."""
    if os.getuid() != 0:
        return {}

    def change():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)

    if subprocess.run(['test', '-x', server.binary], preexec_fn=change).returncode:
        server.binary = shutil.copy(server.binary, server.folder)
        os.chmod(server.binary, 0o755)
    os.chmod(server.config_file, 0o644)
    if not server.process:
        os.chown(server.folder, uid, uid)
    return {'preexec_fn': change}


def test_low_ports_need_root(make_server):
    with open('/proc/sys/net/ipv4/ip_unprivileged_port_start') as f:
        if int(f.read()) <= 25:
            pytest.skip('anybody may open port 25 here')
    s = make_server()
    more = unprivileged(s)
    code, words = run_serve(s, **more)
    s.close()
    assert code == 77
    assert 'port 25 ' in words and 'port 587 ' in words and '--port-offset' in words


def test_without_root(make_server):
    """The same roles and walls, all as one user."""
    s = make_server()
    more = unprivileged(s)
    log = open(s.log_file, 'ab')
    p = subprocess.Popen([s.binary, 'serve', '-c', s.config_file, '--port-offset', str(s.offset)], stdout=log, stderr=log,
                         stdin=subprocess.DEVNULL, env=s.env, **more)
    try:
        s.wait_log('event=ready')
        assert submit(s).startswith('250')
        assert all('seccomp' in r['sandbox'] for r in status(s)['roles'] if r['role'] != 'main')
    finally:
        p.terminate()
        code = p.wait(PATIENCE)
        log.close()
        s.close()
    assert code == 0


def test_one_server_a_state(make_server):
    with make_server() as s:
        code, words = run_serve(s, '--port-offset', str(s.offset + 1))
        assert code == 1 and str(s.process.pid) in words


def test_strangers_may_not_ask(make_server):
    if os.getuid() != 0:
        pytest.skip('needs root')
    with make_server() as s:
        more = unprivileged(s, 54321)
        p = subprocess.run([s.binary, 'status'], capture_output=True, text=True,
                           env=dict(s.env, POSTERN_RUNTIME_DIR=s.config['runtime_dir']), **more)
        assert p.returncode == 3 and 'not allowed' in p.stderr


def test_nobody_answers(make_server):
    s = make_server()
    p = s.cli('status', check=False)
    s.close()
    assert p.returncode == 3 and 'postern serve' in p.stderr


def test_garbage_at_the_control_socket(make_server):
    with make_server() as s:
        for packet in (b'\0', b'x' * 70000, b'\x0a\0' + b'\0' * 16, b'\x2c\0' + b'\0' * 12):
            c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            c.settimeout(PATIENCE)
            c.connect(os.path.join(s.config['runtime_dir'], 'control.sock'))
            c.send(packet)
            with contextlib.suppress(OSError):
                c.recv(70000)
            c.close()
        assert all(p['restarts'] == 0 for p in main_of(s)['processes'])


def make_certificate(folder, name):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
                    '-subj', f'/CN={name}', '-keyout', f'{folder}/key.pem', '-out', f'{folder}/cert.pem'],
                   check=True, capture_output=True)


def served_certificate(server):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    with socket.create_connection(('127.0.0.1', server.port['submissions']), timeout=PATIENCE) as raw:
        with c.wrap_socket(raw, server_hostname='mx.example.org') as s:
            return s.getpeercert(True)


def test_certificates_are_read_anew(make_server, tmp_path):
    make_certificate(tmp_path, 'one.example.org')
    with make_server({'tls': {'certificates': [{'cert': f'{tmp_path}/cert.pem', 'key': f'{tmp_path}/key.pem'}]}}) as s:
        first = served_certificate(s)
        (tmp_path / 'cert.pem').write_text('nonsense')
        s.wait_log('event=certificate-refused')
        assert served_certificate(s) == first, 'a bad file changes nothing'
        make_certificate(tmp_path, 'two.example.org')
        s.wait_log('event=certificates-reloaded')
        wait_until(lambda: served_certificate(s) != first)


def test_systemd_is_told(make_server, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        path = str(tmp_path / 'n')
        n.bind(path)
        n.settimeout(PATIENCE)
        with make_server(env={'NOTIFY_SOCKET': path}) as s:
            assert n.recv(100) == b'READY=1'
            s.stop()
            assert n.recv(100) == b'STOPPING=1'
