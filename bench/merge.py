"""A message for each row of a list: `postern send --merge`, beside the loop that people write with Python's smtplib."""
import contextlib
import hashlib
import os
import shutil
import smtplib
import ssl
import subprocess
import time
from email.message import EmailMessage

from bench import machine
from bench.figures import Figure
from bench.postfix import TlsSink

PASSWORD = 'correct horse battery'
POSTERN, SINK, SCRIPT = 'to a Postern, TLS and a login', 'to a sink, TLS', "a loop with Python's smtplib to the same sink, keeping nothing"
AGAIN = 'rows looked at a second when all were sent before'


def certificate(port):
    """Of a server with STARTTLS, and its fingerprint."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP('127.0.0.1', port, local_hostname='bench.test') as s:
        s.starttls(context=context)
        return context, hashlib.sha256(s.sock.getpeercert(binary_form=True)).hexdigest()


class Lists:
    def __init__(self, folder, program, n):
        self.folder, self.program, self.n, self.runs = folder, program, n, 0
        self.list, self.template = os.path.join(folder, 'list.csv'), os.path.join(folder, 'template')
        with open(self.list, 'w') as f:
            f.write('id,email,name\n' + ''.join(f'{i},user{i}@elsewhere.test,User {i}\n' for i in range(n)))
        with open(self.template, 'w') as f:
            f.write('From: ann@example.org\nTo: {{name}} <{{email}}>\nSubject: Number {{id}}\n'
                    'List-Unsubscribe: <https://example.org/u/{{id}}>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n\n'
                    'Dear {{name}},\n' + 'this is a line that everybody gets alike.\n' * 45)

    def send(self, *args, again=False):
        """Seconds that it took."""
        self.runs += not again
        env = {k: v for k, v in os.environ.items() if not k.startswith('POSTERN_')}
        begin = time.monotonic()
        subprocess.run([self.program, 'send', *args, '--merge', self.list, '--template', self.template, '--result',
                        os.path.join(self.folder, f'results.{self.runs}')], env=env, check=True, stdout=subprocess.DEVNULL,
                       stdin=subprocess.DEVNULL)
        return time.monotonic() - begin


def script(port, context, n):
    begin = time.monotonic()
    with smtplib.SMTP('127.0.0.1', port, local_hostname='bench.test') as s:
        s.starttls(context=context)
        for i in range(n):
            m = EmailMessage()
            m['From'], m['To'], m['Subject'] = 'ann@example.org', f'User {i} <user{i}@elsewhere.test>', f'Number {i}'
            m.set_content(f'Dear User {i},\n' + 'this is a line that everybody gets alike.\n' * 45)
            s.send_message(m)
    return time.monotonic() - begin


def merge(b):
    n = b.few(10000, 20)
    fig = Figure('merge', 'Messages of a list sent a second', b.setup(
        f'{n} rows, 2 KiB each, one connection, one after the other; every row checked before the first goes, and synced '
        '(fdatasync), with the answer to the one before, before its message goes; from the start of the command to its end'))
    folder = machine.folder()
    try:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(b.server({'limits': {'account_messages': 1000000, 'account_recipients': 1000000}}))
            server.account('ann@example.org', PASSWORD)
            sink = stack.enter_context(TlsSink(b.programs))
            context, pin = certificate(sink.port)
            secret = os.path.join(folder, 'secret')
            with open(secret, 'w') as f:
                f.write(PASSWORD + '\n')
            os.chmod(secret, 0o600)
            lists = Lists(folder, os.path.join(b.programs, 'postern'), n)
            ca = ssl.get_server_certificate(('127.0.0.1', server.port['submissions']))
            own = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca)).hexdigest()
            to = {POSTERN: ['--url', f'smtps://ann%40example.org@127.0.0.1:{server.port["submissions"]}', '--pin', own,
                            '--password-file', secret],
                  SINK: ['--url', f'smtp://127.0.0.1:{sink.port}', '--pin', pin]}
            for _ in range(b.runs):
                for label, args in to.items():
                    fig.add(label, n / lists.send(*args))
                fig.add(AGAIN, n / lists.send(*to[SINK], again=True))
                fig.add(SCRIPT, n / script(sink.port, context, n))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    fig.ratio('postern send / smtplib, to the sink', SINK, SCRIPT)
    yield fig
