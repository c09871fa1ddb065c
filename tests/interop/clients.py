"""The mail clients that the interop tests run: one function each, one row in CLIENTS.

A client is a function that takes a Task (where to, how, what) and tries to submit
the message in the way that an ordinary user of it would; it returns Shown: the exit
status and every word that it printed.  To add a client, write such a function and
give it a row at the end; the tests find it there.
"""
import base64
import collections
import os
import subprocess
import sys
import textwrap
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 300  # seconds that a client may take; the server must have answered long before

Shown = collections.namedtuple('Shown', 'status text')


class Task:
    """tls: 'starttls' (begin in clear text, then STARTTLS), 'tls' (from the first byte),
    'none' (clear text throughout).  ca: a file of authorities that alone are trusted, '' the system's;
    None: any certificate will do.  sender: where it is another than the user.  timeout: in seconds."""

    def __init__(self, folder, port, tls, subject, body, user='ann@example.org', password='', to='bob@example.org',
                 auth=True, host='127.0.0.1', ca=None, sender=None, timeout=120):
        self.folder, self.port, self.tls, self.subject, self.body = folder, port, tls, subject, body
        self.user, self.password, self.to, self.auth, self.host = user, password, to, auth, host
        self.ca, self.sender, self.timeout = ca, sender or user, timeout

    def message(self):
        return (f'From: {self.sender}\nTo: {self.to}\nSubject: {self.subject}\n'
                f'Date: Sat, 21 Nov 2026 12:00:00 +0000\nMessage-ID: <{self.subject}@example.org>\n\n{self.body}')

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.folder, f'{self.subject}.{name}')
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, mode)
        return path


def run(task, *cmd, stdin=None, env=None):
    try:
        p = subprocess.run(cmd, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                           timeout=LIMIT, cwd=task.folder, env=dict(os.environ, HOME=task.folder, **(env or {})))
    except subprocess.TimeoutExpired as e:
        return Shown('timeout', (e.stdout or b'').decode(errors='replace') if isinstance(e.stdout, bytes) else e.stdout or '')
    return Shown(p.returncode, p.stdout)


def python(task):
    """smtplib, as in every second script; what it shows is its traceback's last line."""
    script = textwrap.dedent('''
        import smtplib, ssl, sys
        host, port, tls, auth, user, password, sender, to, path, timeout, *ca = sys.argv[1:]
        context = ssl.create_default_context(cafile=ca[0] or None if ca else None)
        if not ca:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if tls == 'tls':
            c = smtplib.SMTP_SSL(host, int(port), timeout=int(timeout), context=context)
        else:
            c = smtplib.SMTP(host, int(port), timeout=int(timeout))
        if tls == 'starttls':
            c.starttls(context=context)
        if auth == 'True':
            c.login(user, password)
        c.sendmail(sender, [to], open(path).read())
        c.quit()
    ''')
    return run(task, sys.executable, '-c', script, task.host, str(task.port), task.tls, str(task.auth), task.user,
               task.password, task.sender, task.to, task.file('eml', task.message()), str(task.timeout), *([] if task.ca is None else [task.ca]))


def curl(task, *more):
    url = f'{"smtps" if task.tls == "tls" else "smtp"}://{task.host}:{task.port}'
    tls = {'starttls': ['--ssl-reqd'], 'tls': [], 'none': []}[task.tls]
    user = ['--user', f'{task.user}:{task.password}'] if task.auth else []
    trust = ['-k'] if task.ca is None else ['--cacert', task.ca] if task.ca else []
    return run(task, 'curl', '-sS', *trust, *more, url, *tls, *user, '--mail-from', task.sender, '--mail-rcpt', task.to,
               '--crlf', '--max-time', str(task.timeout), '--upload-file', task.file('eml', task.message()))


def curl_v(task):
    return curl(task, '-v')


def swaks(task):
    tls = {'starttls': ['--tls'], 'tls': ['--tls-on-connect'], 'none': []}[task.tls]
    auth = ['--auth', 'PLAIN', '--auth-user', task.user, '--auth-password', task.password] if task.auth else []
    return run(task, 'swaks', '--server', task.host, '--port', str(task.port), *tls, *auth, '--from', task.user, '--to', task.to,
               '--helo', 'pc.example.org', '--timeout', str(task.timeout), '--data', '@' + task.file('eml', task.message().removesuffix('\n')))  # it adds one itself


def msmtp(task):
    auth = f'auth plain\nuser {task.user}\npassword {task.password}' if task.auth else 'auth off'
    trust = 'tls_certcheck off' if task.ca is None else f'tls_trust_file {task.ca or "system"}'
    conf = task.file('msmtprc', textwrap.dedent(f'''\
        account default
        host {task.host}
        port {task.port}
        tls {"off" if task.tls == "none" else "on"}
        tls_starttls {"off" if task.tls == "tls" else "on"}
        {trust}
        timeout {task.timeout}
        from {task.sender}
        ''') + auth + '\n')
    return run(task, 'msmtp', '-C', conf, task.to, stdin=task.message())


def nodemailer(task):
    auth = f'auth: {{ user: {task.user!r}, pass: {task.password!r} }},' if task.auth else ''
    trust = 'rejectUnauthorized: false' if task.ca is None else f"ca: require('fs').readFileSync('{task.ca}')" if task.ca else ''
    ms = task.timeout * 1000
    script = task.file('js', textwrap.dedent(f'''\
        const mailer = require('nodemailer').createTransport({{
          host: '{task.host}', port: {task.port}, secure: {str(task.tls == "tls").lower()},
          requireTLS: {str(task.tls == "starttls").lower()}, ignoreTLS: {str(task.tls == "none").lower()},
          {auth} tls: {{ {trust} }}, connectionTimeout: {ms}, greetingTimeout: {ms}, socketTimeout: {ms},
        }});
        mailer.sendMail({{ envelope: {{ from: {task.sender!r}, to: [{task.to!r}] }}, raw: {{ path: process.argv[2] }} }})
          .then(() => process.exit(0), (e) => {{ console.error(e); process.exit(1); }});
        '''))
    return run(task, 'node', script, task.file('eml', task.message()), env={'NODE_PATH': '/usr/share/nodejs'})


def s_nail(task):
    secret = f'{urllib.parse.quote(task.user, safe="")}:{urllib.parse.quote(task.password, safe="")}@' if task.auth else ''
    url = f'{"smtps" if task.tls == "tls" else "smtp"}://{secret}{task.host}:{task.port}'
    more = ['-S', 'smtp-use-starttls'] if task.tls == 'starttls' else []
    auth = ['-S', 'smtp-auth=plain'] if task.auth else ['-S', 'smtp-auth=none']
    return run(task, 's-nail', '-n', '-S', 'v15-compat', '-S', f'mta={url}', *more, *auth, '-S', 'tls-verify=ignore',
               '-S', 'sendwait', '-S', 'nosave', '-S', f'from={task.user}', '-s', task.subject, task.to, stdin=task.body)


def git_send_email(task):
    encryption = {'starttls': ['--smtp-encryption=tls'], 'tls': ['--smtp-encryption=ssl'], 'none': []}[task.tls]
    auth = [f'--smtp-user={task.user}', f'--smtp-pass={task.password}', '--smtp-auth=PLAIN'] if task.auth else []
    # Its only way to take any certificate is an empty path of CAs.
    return run(task, 'git', '-c', 'sendemail.smtpsslcertpath=', 'send-email', f'--smtp-server={task.host}', f'--smtp-server-port={task.port}', *encryption,
               *auth, f'--from={task.user}', f'--to={task.to}', '--confirm=never', '--suppress-cc=all',
               '--no-thread', '--transfer-encoding=7bit', task.file('eml', task.message()))


def php(task):
    """PHP's streams, as the mail libraries of the web use them."""
    return run(task, 'php', os.path.join(HERE, 'stream.php'), task.host, str(task.port), task.tls, str(int(task.auth)),
               task.user, task.password, task.to, task.file('eml', task.message()), task.sender, str(task.timeout), *([] if task.ca is None else [task.ca]))


def s_client(task):
    """openssl s_client as one types into it: a line, the reply, the next line."""
    start = ['-starttls', 'smtp'] if task.tls == 'starttls' else []
    p = subprocess.Popen(['openssl', 's_client', '-quiet', '-crlf', *start, '-connect', f'{task.host}:{task.port}'],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
    shown = []

    def reply():
        while True:
            line = p.stdout.readline()
            shown.append(line)
            if not line or (line[:3].isdigit() and line[3:4] in (' ', '\n')):
                return line[:1]

    secret = base64.b64encode(f'\0{task.user}\0{task.password}'.encode()).decode()
    dots = '\n'.join('.' + line if line.startswith('.') else line for line in task.message().splitlines())
    lines = ['EHLO pc.example.org', *([f'AUTH PLAIN {secret}'] if task.auth else []), f'MAIL FROM:<{task.user}>',
             f'RCPT TO:<{task.to}>', 'DATA', dots + '\n.', 'QUIT']
    try:
        # With -starttls the greeting is s_client's own affair; it shows the last line
        # of the EHLO's answer, "250 ...".
        ok = reply() == '2'
        for line in lines if ok else []:
            p.stdin.write(line + '\n')
            p.stdin.flush()
            ok = reply() in ('2', '3')
            if not ok:
                break
        p.stdin.close()
    except BrokenPipeError:
        ok = False
    if not ok:
        p.terminate()  # as one does with Ctrl-C
    shown.append(p.stdout.read())
    p.stdout.close()
    p.wait(LIMIT)
    return Shown(0 if ok else 1, ''.join(shown))


# name: function.  For what each shows when the port is wrong see test_wrong_port.py.
CLIENTS = {
    'python': python,
    'curl': curl,
    'curl -v': curl_v,
    'swaks': swaks,
    'msmtp': msmtp,
    'nodemailer': nodemailer,
    's-nail': s_nail,
    'git send-email': git_send_email,
    'php': php,
    's_client': s_client,
}
