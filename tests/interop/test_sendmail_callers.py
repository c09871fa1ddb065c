"""Programs that send by the name sendmail and know nothing of Postern: PHP, cron, git, mail, s-nail, mutt, nmh.  Each sends through
the Postern of the machine, and through a provider: on 587, with STARTTLS, a certificate that is verified, and a login.

A newcomer adds a function that has a program send task.subject and task.body to bob@example.org by task.sendmail, and a
row in CALLERS.
"""
import email
import email.policy
import os
import random
import shutil
import subprocess
import textwrap
import time

import pytest

import debian
from mistakes import Certificates
from words import PASSWORD

WAYS = ['local', 'provider']
BODY = 'Hello Bob,\n.a dot in front\n.\nafter a dot alone\nFrom here on\n' + 'x' * 900 + '\n'


@pytest.fixture(scope='module')
def world(make_server, tmp_path_factory):
    """A server, and by each way a folder with sendmail, mailq and newaliases that go it: scripts, for cron and PHP-FPM pass no
    environment on."""
    certificates = Certificates(str(tmp_path_factory.mktemp('authority')))
    folder = tmp_path_factory.mktemp('password')
    (folder / 'password').write_text(PASSWORD + '\n')
    os.chmod(folder / 'password', 0o600)
    config = {'tls': {'certificates': [{'cert': certificates.path('right.pem'), 'key': certificates.path('right.key')}]}}
    with make_server(config) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob', 'carol'):
            s.account(f'{name}@example.org', PASSWORD)
        s.ways = {
            'local': {'POSTERN_RUNTIME_DIR': s.config['runtime_dir']},
            'provider': {'POSTERN_RUNTIME_DIR': '/nonexistent', 'SSL_CERT_FILE': certificates.ca,
                         'POSTERN_PASSWORD_FILE': str(folder / 'password'),
                         'POSTERN_URL': f'smtp://ann%40example.org@localhost:{s.port["submission"]}'},
            'nowhere': {'POSTERN_RUNTIME_DIR': '/nonexistent', 'POSTERN_URL': 'smtp://127.0.0.1:1'},
        }
        s.names = {}
        for way, env in s.ways.items():
            s.names[way] = str(tmp_path_factory.mktemp(way))
            for name in ('sendmail', 'mailq', 'newaliases'):
                link = os.path.join(s.names[way], '.' + name)
                os.makedirs(link)
                os.symlink(os.path.abspath(s.binary), os.path.join(link, name))
                with open(os.path.join(s.names[way], name), 'w') as f:
                    f.write('#!/bin/sh\n' + ''.join(f"export {k}='{v}'\n" for k, v in env.items()) + f'exec {link}/{name} "$@"\n')
                os.chmod(os.path.join(s.names[way], name), 0o755)
        yield s


class Task:
    def __init__(self, folder, sendmail):
        self.folder, self.sendmail, self.body = str(folder), sendmail, BODY
        self.subject = f'm{random.randrange(1 << 48):x}'

    def file(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def run(self, *cmd, stdin='', env=None):
        return subprocess.run(cmd, input=stdin, capture_output=True, text=True, timeout=120, cwd=self.folder,
                              env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': self.folder, 'LANG': 'C.UTF-8', 'GIT_CONFIG_NOSYSTEM': '1', 'GIT_COMMITTER_NAME': 'Ann', 'GIT_COMMITTER_EMAIL': 'ann@example.org',
                                   'GIT_AUTHOR_NAME': 'Ann', 'GIT_AUTHOR_EMAIL': 'ann@example.org', **(env or {})})


def received(server, subject, who='bob'):
    raw = server.wait_message(f'{who}@example.org', f'Subject: {subject}\n'.encode())
    return email.message_from_bytes(raw, policy=email.policy.default)


def unpacked(*packages):
    try:
        return debian.unpacked(*packages)
    except debian.Unavailable as e:
        pytest.skip(str(e))


def needs_namespaces():
    if os.getuid() != 0 or not shutil.which('unshare'):
        pytest.skip('needs root, and mount namespaces')


def libraries(root):
    return {'LD_LIBRARY_PATH': ':'.join(os.path.join(root, 'usr/lib', *d) for d in (['x86_64-linux-gnu'], ['aarch64-linux-gnu'], []))}


# ---- the programs ----

def php(task, parameters='-fann@example.org', headers='Cc: carol@example.org\r\nFrom: Shop <ann@example.org>'):
    script = task.file('mail.php', '<?php [$_, $subject, $body, $headers, $more] = $argv;\n'
                       'exit(mail("bob@example.org", $subject, $body, $headers, $more) ? 0 : 1);')
    return task.run('php', '-d', f'sendmail_path={task.sendmail} -t -i', script, task.subject, task.body, headers, parameters)


def git(task):
    patch = task.file('1.patch', f'From: Ann <ann@example.org>\nSubject: {task.subject}\n\n{task.body}')
    return task.run('git', 'send-email', f'--sendmail-cmd={task.sendmail}', '--from=Ann <ann@example.org>', '--to=bob@example.org',
                    '--confirm=never', '--suppress-cc=all', '--no-thread', '--no-validate', '--transfer-encoding=8bit', patch)


def git_by_path(task):
    """As it was before 2.33: smtpserver is a path."""
    patch = task.file('1.patch', f'From: Ann <ann@example.org>\nSubject: {task.subject}\n\n{task.body}')
    return task.run('git', 'send-email', f'--smtp-server={task.sendmail}', '--envelope-sender=auto', '--from=Ann <ann@example.org>',
                    '--to=bob@example.org', '--confirm=never', '--suppress-cc=all', '--no-validate', '--transfer-encoding=8bit', patch)


def s_nail(task):
    return task.run('s-nail', '-n', '-S', f'mta=file://{task.sendmail}', '-S', 'sendwait', '-S', 'nosave', '-s', task.subject,
                    'bob@example.org', stdin=task.body)


def mailx(task):
    """BSD's mail(1)."""
    root = unpacked('bsd-mailx')
    rc = task.file('mailrc', f'set sendmail={task.sendmail}\nset sendwait\n')
    return task.run(os.path.join(root, 'usr/bin/bsd-mailx'), '-s', task.subject, 'bob@example.org', stdin=task.body,
                    env={'MAILRC': rc, **libraries(root)})


def mutt(task):
    root = unpacked('mutt')
    rc = task.file('muttrc', textwrap.dedent(f'''\
        set sendmail="{task.sendmail} -oem -oi"
        set sendmail_wait=0
        set use_envelope_from=yes
        set envelope_from_address=ann@example.org
        set from="Ann <ann@example.org>"
        set dsn_notify="failure,delay"
        set dsn_return=hdrs
        set copy=no
        set text_flowed=no
        '''))
    return task.run(os.path.join(root, 'usr/bin/mutt'), '-n', '-F', rc, '-s', task.subject, 'bob@example.org', stdin=task.body,
                    env={**libraries(root), 'TERM': 'dumb'})


def perl(task):
    """Perl's Mail::Mailer, as old scripts have it: without -i, so that a dot alone would end the message."""
    task.body = BODY.replace('\n.\n', '\n')
    script = 'use Mail::Mailer; my ($subject, $body) = @ARGV;\n' \
        'my $m = Mail::Mailer->new("sendmail") or die; $m->open({To => "bob\\@example.org", Subject => $subject}) or die;\n' \
        'print $m $body; $m->close or exit 1;'
    return task.run('perl', '-e', script, task.subject, task.body, env={'PERL_MAILERS': f'sendmail:{task.sendmail}'})


def python(task):
    script = 'import subprocess, sys, email.message\nm = email.message.EmailMessage()\n' \
        'm["To"], m["From"], m["Subject"] = "bob@example.org", "ann@example.org", sys.argv[2]\nm.set_content(sys.argv[3], cte="8bit")\n' \
        'sys.exit(subprocess.run([sys.argv[1], "-t", "-oi"], input=m.as_bytes()).returncode)'
    return task.run('python3', '-c', script, task.sendmail, task.subject, task.body)


def pipe(task):
    """A shell script, as in every second cron job."""
    return task.run('sh', '-c', f'{{ printf "To: bob@example.org\\nSubject: {task.subject}\\n\\n"; cat; }} | {task.sendmail} -t -i',
                    stdin=task.body)


def nodemailer(task):
    script = task.file('send.js', textwrap.dedent(f'''\
        require('nodemailer').createTransport({{ sendmail: true, newline: 'unix', path: {task.sendmail!r} }}).sendMail(
          {{ from: 'ann@example.org', to: 'bob@example.org', subject: {task.subject!r}, text: require('fs').readFileSync(0, 'utf8') }})
          .then(() => process.exit(0), (e) => {{ console.error(e); process.exit(1); }});
        '''))
    return task.run('node', script, stdin=task.body, env={'NODE_PATH': '/usr/share/nodejs'})


def nmh(task):
    """Speaks SMTP with sendmail -bs."""
    needs_namespaces()
    root = unpacked('nmh')
    message = task.file('draft', f'From: ann@example.org\nTo: bob@example.org\nSubject: {task.subject}\n\n{task.body}')
    task.file('.mh_profile', 'Path: Mail\n')
    os.makedirs(os.path.join(task.folder, 'Mail'), exist_ok=True)
    return task.run('unshare', '--mount', 'sh', '-ec', 'mount --make-rprivate /; mount -t overlay overlay -o "lowerdir=$1/etc:/etc" /etc\n'
                    'exec "$1/usr/lib/mh/post" -mts sendmail/smtp -sendmail "$2" "$3"', 'sh', root, task.sendmail, message,
                    env=libraries(root))


CALLERS = {
    'php': php, 'git': git, 'git by path': git_by_path, 's-nail': s_nail, 'bsd-mailx': mailx, 'mutt': mutt, 'perl': perl,
    'python': python, 'pipe': pipe, 'nodemailer': nodemailer, 'nmh': nmh,
}


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('caller', CALLERS)
def test_caller(world, tmp_path, caller, way):
    task = Task(tmp_path, os.path.join(world.names[way], 'sendmail'))
    p = CALLERS[caller](task)
    assert p.returncode == 0, p.stdout + p.stderr
    m = received(world, task.subject)
    assert m.get_content().rstrip('\n') == task.body.rstrip('\n')
    assert m['Message-ID'] and m['Date'] and m['From']
    assert way == 'local' or m['Return-Path'] == '<ann@example.org>'
    if caller == 'php':
        assert m['From'].addresses[0].display_name == 'Shop'
        received(world, task.subject, 'carol')


@pytest.mark.parametrize('caller', ['php', 'git', 's-nail', 'bsd-mailx', 'mutt', 'perl', 'python', 'nodemailer', 'nmh'])
def test_caller_hears_of_failure(world, tmp_path, caller):
    """Where no server can be reached it is the program that must know."""
    p = CALLERS[caller](Task(tmp_path, os.path.join(world.names['nowhere'], 'sendmail')))
    assert p.returncode != 0, p.stdout + p.stderr


# ---- PHP and its attackers ----

@pytest.mark.parametrize('way', WAYS)
def test_php_without_parameters(world, tmp_path, way):
    """As most scripts call it."""
    task = Task(tmp_path, os.path.join(world.names[way], 'sendmail'))
    p = php(task, '', 'From: shop@example.org\r\nReply-To: ann@example.org')
    assert p.returncode == 0, p.stdout + p.stderr
    m = received(world, task.subject)
    assert m['From'] == 'shop@example.org'
    assert way == 'local' or m['Return-Path'] == '<ann@example.org>'


@pytest.mark.parametrize('parameters', ['-X{0}/shell.php', '-OQueueDirectory={0} -X{0}/shell.php', '-oQ{0} -C{0}/cf', '-d0-99.100 -X {0}/x',
                                        '-fann@example.org -oQ{0} -X{0}/shell.php', '-be ${{run{{/bin/touch${{substr{{0}}{{1}}{{0}}}}}}}}'])
def test_php_with_an_attackers_parameters(world, tmp_path, parameters):
    """A name of a sender that is more than that (CVE-2016-10033): no file is made, whatever becomes of the message."""
    room = tmp_path / 'room'
    room.mkdir()
    task = Task(tmp_path, os.path.join(world.names['local'], 'sendmail'))
    p = php(task, parameters.format(room))
    assert os.listdir(room) == [], p.stderr


# ---- cron ----

@pytest.fixture(scope='module')
def cron():
    needs_namespaces()
    return unpacked('cron')


@pytest.mark.parametrize('way', WAYS)
def test_cron(world, tmp_path, cron, way):
    """Debian's own, in a mount namespace in which /usr/sbin/sendmail is ours: what a job prints comes as mail."""
    said = f'printed-{random.randrange(1 << 48):x}'
    etc, sbin = tmp_path / 'etc', tmp_path / 'sbin'
    for folder in (etc / 'cron.d', etc / 'pam.d', sbin):
        folder.mkdir(parents=True)
    (etc / 'crontab').write_text('')
    (etc / 'cron.d/job').write_text(f'MAILTO=bob@example.org\n@reboot root printf "{said}\\n.\\nGr\\303\\274\\303\\237e\\n"; id -un\n')
    (etc / 'pam.d/cron').write_text(''.join(f'{kind} required pam_permit.so\n' for kind in ('auth', 'account', 'session')))
    shutil.copy(os.path.join(world.names[way], 'sendmail'), sbin / 'sendmail')
    script = '\n'.join([
        'mount --make-rprivate /',
        f'mount -t overlay overlay -o lowerdir={etc}:/etc /etc',
        f'mount -t overlay overlay -o lowerdir={sbin}:{cron}/usr/sbin:/usr/sbin /usr/sbin',
        'mkdir -p /var/spool/cron', 'mount -t tmpfs tmpfs /var/spool/cron', 'mkdir /var/spool/cron/crontabs',
        'mount -t tmpfs tmpfs /run',
        'exec cron -f'])
    p = subprocess.Popen(['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-ec', script], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd='/',
                         env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LANG': 'C.UTF-8'})
    try:
        deadline = time.monotonic() + 120
        raw = b''
        while not raw and time.monotonic() < deadline:
            raw = next((m for m in world.messages('bob@example.org') if said.encode() in m), b'')
            assert p.poll() is None, p.stdout.read()
            time.sleep(0.2)
    finally:
        p.kill()
        p.wait()
    assert raw, p.stdout.read()
    m = email.message_from_bytes(raw, policy=email.policy.default)
    assert m['Subject'].startswith('Cron <root@') and m['X-Cron-Env']
    assert m.get_content() == f'{said}\n.\nGrüße\nroot\n'
    assert m['To'] == 'bob@example.org'
    sender = m['From'].addresses[0]
    if way == 'local':
        assert sender.username == 'root' and sender.domain
    else:  # root of this machine is nobody there
        assert sender.addr_spec == 'ann@example.org' and m['X-Original-From'].startswith('root@')
        assert m['Return-Path'] == '<ann@example.org>'
