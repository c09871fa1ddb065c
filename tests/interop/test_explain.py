"""What real clients print when their settings are wrong, made for real, goes through `postern check --explain`,
which must name the cause.  mistakes.py has the mistakes; a row there is a test for every client."""
import concurrent.futures
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../scripts'))

import debian  # noqa: E402
from clients import CLIENTS, Shown, Task, run  # noqa: E402
from conftest import record  # noqa: E402
from mistakes import MISTAKES, World  # noqa: E402
from words import BODY, PASSWORD  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ['nodemailer', 'python', 'curl', 'msmtp', 'php', 'phpmailer']
# Seconds a client waits: few where it waits in vain, and else as many as it takes on a busy machine.
TIMEOUT, IN_VAIN = 60, 4
WAITS_IN_VAIN = {'timed-out', 'silent', 'plain-on-465', 'plain-on-postern-465'}

# Where a client hides what happened, or it is another mistake to it: what is then named first.  None: it is none.
OTHERWISE = {
    # Without -v it says only which code it was, and any refused login is "Login denied".
    ('curl', 'needs-login'): 'starttls-required',
    ('curl', 'odd-auth'): 'password-refused',
    ('curl', 'app-password'): 'password-refused',
    ('curl', 'smtp-auth-off'): 'password-refused',
    ('curl', 'no-auth'): None,  # sends without login, which that server takes
    ('nodemailer', 'no-auth'): None,
    # OpenSSL as nodemailer has it tells a missing link from an unknown authority.
    ('nodemailer', 'untrusted'): 'certificate-chain-incomplete',
    # GnuTLS lists all that is wrong: the self-signed certificate is for another name as well.
    ('msmtp', 'self-signed-starttls'): 'certificate-name',
    ('msmtp', 'self-signed'): 'certificate-untrusted',
    # "certificate verify failed", and no more.
    **{('php', what): 'certificate-untrusted' for what in ('self-signed', 'self-signed-starttls', 'expired')},
    ('php', 'no-starttls'): 'protocol',  # the script asks all the same
    ('php', 'no-auth'): 'protocol',
    ('php', 'odd-auth'): 'protocol',
    # "Failed to connect to server: (0)" is all that it says of TLS from the first byte.
    **{('phpmailer', what): 'tls-failed'
       for what in ('tls-on-25', 'tls-on-plain', 'self-signed', 'untrusted', 'wrong-name', 'expired', 'old-tls')},
    ('phpmailer', 'self-signed-starttls'): 'certificate-untrusted',
    ('phpmailer', 'no-auth'): 'password-refused',  # "Could not authenticate."
    ('phpmailer', 'odd-auth'): 'password-refused',
    ('phpmailer', 'closed'): 'plain-to-tls-port',  # it prints the same for a server that keeps silent
}
LEFT_OUT = {
    ('msmtp', 'old-tls'),  # Debian's GnuTLS still speaks TLS 1.0
    ('phpmailer', 'silent'),  # waits for minutes, whatever its Timeout is
}


@pytest.fixture(scope='module')
def phpmailer():
    """A client function for PHPMailer as Debian has it."""
    try:
        library = os.path.join(debian.unpacked('libphp-phpmailer'), 'usr/share/php/libphp-phpmailer/autoload.php')
    except debian.Unavailable as e:
        return str(e)

    def client(task):
        return run(task, 'php', os.path.join(HERE, 'phpmailer.php'), library, task.host, str(task.port), task.tls, str(int(task.auth)),
                   task.user, task.password, task.to, task.sender, str(task.timeout), *([] if task.ca is None else [task.ca]))
    return client


@pytest.fixture(scope='module')
def shown(make_server, phpmailer, tmp_path_factory):
    """{(client, mistake): Shown}"""
    folder = str(tmp_path_factory.mktemp('explain'))
    clients = {**CLIENTS, 'phpmailer': phpmailer}
    with make_server() as server, concurrent.futures.ThreadPoolExecutor(4) as pool:
        server.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            server.account(f'{name}@example.org', PASSWORD)
        world = World(folder, server.port)
        try:
            jobs = {}
            for what, m in MISTAKES.items():
                for name in NAMES:
                    if (name, what) in LEFT_OUT or not callable(clients[name]):
                        continue
                    # Its subject is part of file names, which some clients print: it must give nothing away.
                    task = Task(folder, world.port[m.place], m.tls, f'message{len(jobs)}', BODY, user=m.user, password=m.password or PASSWORD,
                                to=m.to, auth=m.auth, host=m.host, ca=world.certificates.ca if m.ca == 'ours' else m.ca, sender=m.sender,
                                timeout=IN_VAIN if what in WAITS_IN_VAIN else TIMEOUT)
                    jobs[name, what] = pool.submit(clients[name], task)
            found = {key: job.result() for key, job in jobs.items()}
        finally:
            world.close()
    for what in MISTAKES:
        record(f'explain-{what}', {name: s for (name, w), s in found.items() if w == what})
    return found


def explain(binary, text, *args):
    p = subprocess.run([binary, 'check', '--explain', '-', '--json', *args], input=text, capture_output=True, text=True, timeout=30)
    assert p.stderr == ''
    return p.returncode, json.loads(p.stdout)


@pytest.mark.parametrize('client, what', [(c, w) for w in MISTAKES for c in NAMES if (c, w) not in LEFT_OUT])
def test_explained(binary, shown, phpmailer, client, what):
    if client == 'phpmailer' and not callable(phpmailer):
        pytest.skip(phpmailer)
    seen, cause = shown[client, what], OTHERWISE.get((client, what), MISTAKES[what].cause)
    if cause is None:
        assert seen == Shown(0, ''), seen.text
        return
    assert seen.status != 0, f'it took it for a success:\n{seen.text}'
    status, e = explain(binary, seen.text)
    causes = [c['cause'] for c in e['causes']]
    assert status == 0 and causes[0] == cause, f'{causes}:\n{seen.text}'
    # Where it hides what happened, that is still among the others.
    if cause in ('tls-failed', 'password-refused') and MISTAKES[what].cause.startswith(('certificate-unt', 'tls-to', 'app-', 'auth-')):
        assert MISTAKES[what].cause in causes
    # "php" alone is no known client where its script speaks for it.
    assert e['client'] in (client, 'unknown'), seen.text
    assert client == 'php' or e['client'] == client, seen.text
    assert not e['host'] or e['host'] in ('localhost', '127.0.0.1', MISTAKES[what].host)
    assert PASSWORD not in json.dumps(e)


def people(binary, text, *args):
    p = subprocess.run([binary, 'check', '--explain', text, *args], capture_output=True, text=True, timeout=30)
    return p.returncode, p.stdout, p.stderr


def test_for_people(binary):
    status, out, _ = people(binary, 'msmtp: cannot connect to smtp.gmail.com, port 465: Connection refused')
    assert status == 0
    words = ' '.join(out.split())
    assert words.startswith('msmtp, smtp.gmail.com:465 refused means')
    assert 'tls on, tls_starttls off, port 465' in words and 'postern check smtp.gmail.com' in words
    assert 'Gmail and Google Workspace' in words


def test_nothing_known(binary):
    status, out, _ = people(binary, 'it does not work')
    assert status == 1 and 'tells nothing that is known here' in ' '.join(out.split())
    assert explain(binary, 'it does not work')[1]['known'] is False


def test_a_secret_is_not_repeated(binary):
    text = 'smtps://ann:hunter2@smtp.example.org:4650 AUTH PLAIN AGFubgBodW50ZXIyaHVudGVyMg==\nwrong version number'
    for more in ([], ['-v'], ['--json']):
        status, out, _ = people(binary, text, *more)
        assert status == 0 and 'hunter2' not in out and 'AGFubg' not in out
        assert 'smtp.example.org:4650' in out
    assert 'takes out' not in out


def test_a_long_log(binary):
    """Its end is looked at, where errors stand."""
    status, e = explain(binary, 'curl: (67) Login denied\n' + 'something else\n' * 100000 + 'ssl.SSLError: wrong version number (_ssl.c:1)\n')
    assert status == 0 and e['cut'] and [c['cause'] for c in e['causes']] == ['tls-to-plain-port']


@pytest.mark.parametrize('args', [['--explain'], ['--explain', ''], ['--explain', 'Error:', 'unquoted', 'text']])
def test_wrong_usage(binary, args):
    p = subprocess.run([binary, 'check', *args], capture_output=True, text=True, timeout=30)
    assert p.returncode == 2 and p.stdout == ''
