#!/usr/bin/python3
"""make demo: a message through every port with a real client, then every wrong-port
case with the very words that the client showed.  Ends by itself; exits non-zero if
anything is off."""
import os
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import time

from server import Server

ANN, BOB = 'ann@example.org', 'bob@example.org'
PASSWORD = 'open sesame 42'
BOLD, DIM, GREEN, RED, OFF = ('\033[1m', '\033[2m', '\033[32m', '\033[31m', '\033[0m') if sys.stdout.isatty() else [''] * 5

problems = []


def heading(text):
    print(f'\n{BOLD}{text}{OFF}')


def problem(text):
    problems.append(text)
    print(f'{RED}  wrong: {text}{OFF}')


def message(subject, sender=ANN, to=BOB):
    return f'From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello Bob,\r\nthis came by {subject}.\r\n'


def unverified():
    """The demo's certificate is self-signed; a real client verifies."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def run(*cmd, stdin=None):
    return subprocess.run(cmd, input=stdin, text=True, capture_output=True, timeout=30)


# --- a message through every port ------------------------------------------------


def by_relay(s, subject):
    """Another server hands over mail: smtplib speaks as one would."""
    with smtplib.SMTP('127.0.0.1', s.port['relay'], local_hostname='mail.example.net', timeout=20) as c:
        c.starttls(context=unverified())
        c.ehlo()
        c.sendmail('carol@example.net', [BOB], message(subject, 'carol@example.net'))
    return 'Python smtplib, as another server'


def by_submissions(s, subject):
    p = run('curl', '-sS', '-k', f'smtps://127.0.0.1:{s.port["submissions"]}', '--mail-from', ANN, '--mail-rcpt', BOB,
            '--user', f'{ANN}:{PASSWORD}', '--upload-file', '-', stdin=message(subject))
    if p.returncode:
        problem(f'curl ended with {p.returncode}: {p.stderr.strip()}')
    return 'curl'


def by_submission(s, subject):
    p = run('swaks', '--server', '127.0.0.1', '--port', str(s.port['submission']), '--tls', '--auth', 'PLAIN',
            '--auth-user', ANN, '--auth-password', PASSWORD, '--from', ANN, '--to', BOB,
            '--header', f'Subject: {subject}', '--body', f'Hello Bob, this came by {subject}.', '--helo', 'laptop.example.org')
    if p.returncode:
        problem(f'swaks ended with {p.returncode}: {p.stdout[-400:]}{p.stderr[-400:]}')
    return 'swaks'


def by_fallback(s, subject):
    with smtplib.SMTP('127.0.0.1', s.port['fallback'], timeout=20) as c:
        c.starttls(context=unverified())
        c.login(ANN, PASSWORD)
        c.sendmail(ANN, [BOB], message(subject))
    return 'Python smtplib'


WAYS = [
    ('relay', 25, by_relay),
    ('submissions', 465, by_submissions),
    ('submission', 587, by_submission),
    ('fallback', 2525, by_fallback),
]


def fields(line):
    return {k: v.strip('"') for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)}


def through_every_port(s):
    heading('A message through every port')
    rows = [('port', 'client', 'TLS', 'AUTH', 'answer', 'delivered to')]
    last = None
    for listener, usual, send in WAYS:
        subject = f'port {usual}'
        begin = os.path.getsize(s.log_file)
        try:
            client = send(s, subject)
            last = s.wait_message(BOB, f'Subject: {subject}'.encode())
        except Exception as e:  # whatever went wrong is the demo's result
            problem(f'port {usual}: {type(e).__name__}: {e}')
            continue
        accepted = fields(s.wait_log('event=accepted', begin=begin))
        delivered = fields(s.wait_log('event=delivered', begin=begin))
        tls = accepted.get('tls') or 'none'
        auth = accepted.get('auth') or '-'
        if not tls.startswith('TLSv1.'):
            problem(f'port {usual}: the message came without TLS')
        if (auth == '-') != (listener == 'relay'):
            problem(f'port {usual}: AUTH was {auth!r}')
        rows.append((str(usual), client, tls, auth, f'250 {accepted.get("id")}', f'mail/{delivered.get("mailbox")}'))
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for n, r in enumerate(rows):
        line = '  '.join(c.ljust(w) for c, w in zip(r, widths)).rstrip()
        print(f'  {BOLD if n == 0 else ""}{line}{OFF if n == 0 else ""}')
    if last:
        heading('The last one, as it lies in the mailbox')
        print('\n'.join('  ' + line for line in last.decode().splitlines()))


# --- the wrong port -----------------------------------------------------------------


def shown_by(action):
    """What a Python program would print."""
    try:
        return action()
    except (smtplib.SMTPException, OSError) as e:
        return f'{type(e).__name__}: {e}'


def dialog(port, lines):
    """Lines to a port, as by hand; the last reply."""
    with socket.create_connection(('127.0.0.1', port), timeout=20) as c:
        f = c.makefile('rwb', buffering=0)
        reply = ''
        for line in lines:
            if line is not None:
                f.write(line.encode() + b'\r\n')
            while True:
                got = f.readline().decode(errors='replace').rstrip()
                if got:
                    reply = got
                if len(got) < 4 or got[3] != '-':
                    break
        return reply or '(the connection was closed)'


def plain_on_465(s):
    return shown_by(lambda: smtplib.SMTP('127.0.0.1', s.port['submissions'], timeout=20) and 'it was served')


def curl_on_465(s):
    p = run('curl', '-v', '-sS', f'smtp://127.0.0.1:{s.port["submissions"]}', '--mail-from', ANN, '--mail-rcpt', BOB,
            '--upload-file', '-', stdin='x\r\n')
    return next((line for line in p.stderr.splitlines() if '554' in line), p.stderr.strip().splitlines()[-1])


def tls_on_587(s):
    def send():
        # From an address that has not been here: after a plain start the greeting is hardly held.
        with smtplib.SMTP_SSL('127.0.0.1', s.port['submission'], timeout=20, context=unverified(),
                              source_address=('127.0.0.2', 0)) as c:
            c.login(ANN, PASSWORD)
            c.sendmail(ANN, [BOB], message('TLS first on 587'))
        s.wait_message(BOB, b'TLS first on 587')
        return 'served all the same, delivered; counted as TLS first on 587'
    return shown_by(send)


def auth_on_25(s):
    return dialog(s.port['relay'], [None, 'EHLO laptop', 'AUTH PLAIN'])


def foreign_on_25(s):
    return dialog(s.port['relay'], [None, 'EHLO laptop', f'MAIL FROM:<{ANN}>', 'RCPT TO:<someone@example.com>'])


def mail_before_starttls(s):
    return dialog(s.port['submission'], [None, 'EHLO laptop', f'MAIL FROM:<{ANN}>'])


def mail_before_auth(s):
    def send():
        with smtplib.SMTP_SSL('127.0.0.1', s.port['submissions'], timeout=20, context=unverified()) as c:
            c.sendmail(ANN, [BOB], message('no login'))
        return 'it was served'
    return shown_by(send)


def password_in_clear(s):
    import base64
    secret = base64.b64encode(f'\0{ANN}\0{PASSWORD}'.encode()).decode()
    return dialog(s.port['submission'], [None, 'EHLO laptop', f'AUTH PLAIN {secret}'])


def http_on_25(s):
    return dialog(s.port['relay'], [None, 'GET / HTTP/1.1', 'Host: mx.example.org'])


WRONG = [
    ('plain SMTP on 465', 'Python smtplib', plain_on_465, r'554.*5\.7\.0.*SUBMISSION'),
    ('plain SMTP on 465', 'curl -v', curl_on_465, r'554.*5\.7\.0.*SUBMISSION'),
    ('TLS first on 587', 'Python smtplib', tls_on_587, r'delivered'),
    ('MAIL before STARTTLS on 587', 'by hand', mail_before_starttls, r'^530 5\.7\.0.*STARTTLS'),
    ('MAIL before AUTH on 465', 'Python smtplib', mail_before_auth, r'530'),
    ('a password before TLS on 587', 'by hand', password_in_clear, r'^538 5\.7\.11.*change it'),
    ('AUTH on 25', 'by hand', auth_on_25, r'^503 5\.5\.1.*SUBMISSION'),
    ('another domain on 25', 'by hand', foreign_on_25, r'^554 5\.7\.1.*SUBMISSION'),
    ('HTTP on 25', 'by hand', http_on_25, r'.'),
]


def wrong_ports(s):
    heading('The wrong port explains itself')
    for case, client, action, expected in WRONG:
        try:
            said = action(s)
        except Exception as e:
            said = f'{type(e).__name__}: {e}'
        said = ' '.join(said.split()).replace(PASSWORD, '***')
        print(f'  {BOLD}{case}{OFF} {DIM}({client}){OFF}\n      {said}')
        if not re.search(expected.replace('SUBMISSION', f'port {s.port["submission"]} with STARTTLS'), said):
            problem(f'{case}: expected {expected!r}')


def main():
    binary = sys.argv[1]
    for tool in ('curl', 'swaks'):
        if not shutil.which(tool):
            sys.exit(f'demo: {tool} is missing')
    begin = time.monotonic()
    with Server(binary) as s:
        print(f'{BOLD}Postern{OFF} on its defaults, each port plus {s.offset}, on loopback, in {s.folder}')
        s.cli('domain', 'add', 'example.org')
        s.account(ANN, PASSWORD)
        s.account(BOB, PASSWORD)
        through_every_port(s)
        wrong_ports(s)
        heading('postern status --clients: who is misconfigured, and how')
        print('\n'.join('  ' + line for line in s.cli('status', '--clients').stdout.splitlines()))
        exposed = s.cli('account', 'show', ANN).stdout
        if 'sent in clear' not in exposed:
            problem('the account whose password came in clear text is not marked')
        heading('postern status')
        print('\n'.join('  ' + line for line in s.cli('status').stdout.splitlines()))
        if PASSWORD in s.log_text():
            problem('the password stands in the log')
        status = s.stop()
        if status != 0:
            problem(f'the server ended with status {status}')
    seconds = time.monotonic() - begin
    if problems:
        print(f'\n{RED}{len(problems)} things are off:{OFF}')
        for p in problems:
            print(f'  {p}')
        return 1
    print(f'\n{GREEN}All as it should be{OFF}, in {seconds:.0f} seconds.  Next: make run')
    return 0


if __name__ == '__main__':
    sys.exit(main())
