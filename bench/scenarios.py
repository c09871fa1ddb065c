"""The scenarios of `make bench`, each a function that yields figures; SCENARIOS names them, in the order they run."""
import contextlib
import os
import re
import shutil
import subprocess
import threading
import time

from bench import machine
from bench.figures import Figure
from bench.machine import Unavailable
from bench.merge import merge
from bench.postfix import Postfix, Sink, TlsSink, source
from server import Server

SIZE = 4096
ELSEWHERE = 'elsewhere.test'  # mail for it is accepted and waits: nobody listens there
PASSWORD = 'correct horse battery'
# What an administrator sets for many clients behind one address, on every listener used here.
MANY = {'max_sessions': 20000, 'max_sessions_per_ip': 20000, 'max_transactions': 1000000}
POSTERN, POSTFIX, SINK = 'Postern', 'Postfix', 'the limit: loader into smtp-sink, which keeps nothing'
MS, CPU = ', p99 of the final answer (ms)', ', CPU of all its processes a message (us)'


class Bench:
    """What a scenario may use: the programs, and how long it may take."""

    def __init__(self, programs, runs, seconds, tiny=False, alone=False):
        self.programs, self.runs, self.seconds, self.tiny, self.alone = programs, runs, seconds, tiny, alone
        self.loader = machine.Loader(programs)
        self.cores = os.cpu_count()

    def few(self, n, tiny):
        return tiny if self.tiny else n

    def amount(self):
        """What ends a run that measures a rate."""
        return {'messages': 60} if self.tiny else {'seconds': self.seconds, 'messages': 1000000}

    @contextlib.contextmanager
    def server(self, config=None, program='postern', mailboxes=()):
        folder, run = machine.folder(), machine.folder()
        try:
            base = {'runtime_dir': run, 'listeners': {
                'relay': dict(MANY, addresses=['127.0.0.1'], relay_from=['127.0.0.0/8']),
                'submissions': dict(MANY, addresses=['127.0.0.1'])},
                'routes': {'waiting': {'to': [ELSEWHERE], 'via': 'host', 'hosts': ['127.0.0.1'], 'port': machine.free_port()}}}
            for name, value in (config or {}).items():
                base[name] = value
            with Server(os.path.join(self.programs, program), base, folder=folder) as s:
                s.json('status')
                s.cli('domain', 'add', 'example.org')
                for address in mailboxes:
                    s.cli('account', 'add', address, '--no-password')
                yield s
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(run, ignore_errors=True)

    def postfix(self, **more):
        if self.alone:
            raise Unavailable('--alone')
        return Postfix(**more)

    def setup(self, what):
        return f'{what}; {self.cores} cores, {self.runs} runs in turn'

    @contextlib.contextmanager
    def certificate(self):
        """A certificate for all servers of a scenario: ECDSA on P-256, as Postern makes for itself."""
        folder = machine.folder()
        cert, key = os.path.join(folder, 'cert.pem'), os.path.join(folder, 'key.pem')
        try:
            subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                            '-subj', '/CN=mx.example.org', '-addext', 'subjectAltName=DNS:mx.example.org', '-days', '30',
                            '-keyout', key, '-out', cert], check=True, capture_output=True)
            yield cert, key
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Peers:
    """Servers that are there for a scenario; one that cannot be had is named in the figure, and left out."""

    def __init__(self, stack, figure):
        self.stack, self.figure, self.ports, self.pids = stack, figure, {}, {}

    def add(self, label, make):
        try:
            s = self.stack.enter_context(make())
        except Unavailable as e:
            self.figure.note(f'{label.split(":")[0]} is left out: {e}')
            return None
        self.ports[label] = s.port['relay'] if isinstance(s, Server) else s.port
        self.pids[label] = s.process.pid
        return s


def measure(b, fig, peers, **options):
    """Every peer once more, in turn: its rate, its p99, its CPU a message."""
    for label, port in peers.ports.items():
        before = machine.cpu_seconds(peers.pids[label])
        r = b.loader.run(port, **b.amount(), **options)
        fig.add(label, r['rate'])
        if label != SINK:
            fig.add(label + MS, r['p99_ms'])
            fig.add(label + CPU, (machine.cpu_seconds(peers.pids[label]) - before) / max(r['messages'], 1) * 1e6)


# ---- accepted durably ----

def accepted(b):
    for per_connection in (1, 100):
        fig = Figure(f'accepted-{per_connection}', f'Messages accepted durably a second, {per_connection} a connection', b.setup(
            f'{SIZE} octets, 50 sessions, no TLS, one recipient elsewhere, whose mail waits (Postern) or is held (Postfix); '
            f'every 250 after its sync, both with a log'))
        options = {'sessions': 50, 'per_connection': per_connection, 'size': SIZE, 'to': 'someone@' + ELSEWHERE}
        with contextlib.ExitStack() as stack:
            peers = Peers(stack, fig)
            peers.add(POSTERN, b.server)
            peers.add(SINK, Sink)
            peers.add(POSTFIX, lambda: b.postfix(held=ELSEWHERE))
            for port in peers.ports.values():
                b.loader.run(port, **dict(options, messages=b.few(500, 50)))
            for _ in range(b.runs):
                measure(b, fig, peers, **options)
                if SINK in peers.ports:
                    n = 100 if b.tiny else int(fig.series[SINK][-1] * b.seconds / 2)
                    fig.add('smtp-source (Postfix\'s loader) into smtp-sink', source(
                        peers.ports[SINK], 50, n, SIZE, per_connection, 'load@example.net', 'someone@' + ELSEWHERE))
        fig.ratio('Postern / limit', POSTERN, SINK, '>=', 0.6)
        fig.ratio('Postern / Postfix', POSTERN, POSTFIX, *(('>=', 8) if per_connection == 100 else ()))
        fig.result('p99 of the final answer, ms', fig.median(POSTERN + MS), '<', 15)
        yield fig


# ---- a slow disk ----

def syncs(server):
    """How many the disk seam counted; said at the end of the role."""
    found = re.search(r'slow-disk delay_ms=\d+ syncs=(\d+) folder_syncs=(\d+)', server.log_text())
    if not found:
        raise RuntimeError('the slow disk did not say how often it was synced:\n' + server.log_text()[-1500:])
    return int(found.group(1))


def slow_disk(b):
    options = dict(b.amount(), per_connection=100, size=SIZE, to='someone@' + ELSEWHERE)
    fig = Figure('slow-disk', 'With 5 ms added to each sync', b.setup(
        f'{SIZE} octets, no TLS, 100 messages a connection, one recipient elsewhere; Postern linked with a disk that '
        'waits in each fdatasync and counts them (bench/slow_disk.c)'))
    per, slow, fast = 'syncs a message, 50 sessions', 'messages a second, 500 sessions, 5 ms', 'messages a second, 500 sessions, no delay'
    for _ in range(b.runs):
        with b.server(program='bench-slow-disk') as s:
            r = b.loader.run(s.port['relay'], sessions=50, **options)
            s.stop()
            fig.add(per, syncs(s) / r['messages'])
            fig.add('messages a second, 50 sessions, 5 ms', r['rate'])
        with b.server(program='bench-slow-disk') as s:
            r = b.loader.run(s.port['relay'], sessions=500, **options)
            fig.add(slow, r['rate'])
            fig.add('p99 of the final answer, 500 sessions, 5 ms (ms)', r['p99_ms'])
        with b.server() as s:
            fig.add(fast, b.loader.run(s.port['relay'], sessions=500, **options)['rate'])
    fig.result('syncs a message at 50 sessions', fig.median(per), '<=', 0.1)
    fig.ratio('rate at 500 sessions: with the delay / without', slow, fast, '>=', 0.7)
    yield fig


# ---- delivered ----

def files(folders):
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            yield from os.scandir(os.path.join(folder, 'new'))


def delivered_once(b, port, folders, **options):
    """Messages a second from the first connect until the last file lies in its new/.  The files say themselves when
    they came there (ctime): looking for them now and then costs the servers nothing.  What was delivered before stays:
    deleting it would be measured, see machine.place()."""
    before = sum(1 for _ in files(folders))
    r = b.loader.run(port, sessions=50, size=SIZE, **options)
    deadline = time.monotonic() + 120
    while sum(1 for _ in files(folders)) < before + options['messages']:
        if time.monotonic() > deadline:
            raise RuntimeError('not every message was delivered within two minutes')
        time.sleep(0.25)
    last = max(f.stat().st_ctime for f in files(folders))
    return options['messages'] / (last - r['began'])


def delivered(b):
    for boxes in (1, b.few(1000, 5)):
        n, n_postfix = b.few(8000, 50), b.few(2000, 50)
        addresses = [f'user{i}@example.org' for i in range(boxes)]
        fig = Figure(f'delivered-{boxes}', f'Messages delivered a second, to {boxes} Maildir{"s" if boxes > 1 else ""}', b.setup(
            f'{n} messages ({n_postfix} for Postfix) of {SIZE} octets, 50 sessions, one a connection, no TLS; from the first connect until '
            'the last file lies in new/, each file synced; Postfix with virtual(8)'))
        options = {'to': 'user%u@example.org', 'to_count': boxes}
        with contextlib.ExitStack() as stack:
            peers = Peers(stack, fig)
            servers = {POSTERN: peers.add(POSTERN, lambda: b.server(mailboxes=addresses)),
                       POSTFIX: peers.add(POSTFIX, lambda: b.postfix(mailboxes=addresses))}
            servers = {label: (s, [s.mailbox(a) for a in addresses]) for label, s in servers.items() if s}
            amount = {POSTERN: n, POSTFIX: n_postfix}  # so that a run takes both about as long
            for label, (s, folders) in servers.items():  # the Maildirs are made
                delivered_once(b, peers.ports[label], folders, messages=max(boxes, 50), **options)
            for _ in range(b.runs):
                for label, (s, folders) in servers.items():
                    before = machine.cpu_seconds(s.process.pid)
                    fig.add(label, delivered_once(b, peers.ports[label], folders, messages=amount[label], **options))
                    fig.add(label + CPU, (machine.cpu_seconds(s.process.pid) - before) / amount[label] * 1e6)
        fig.ratio('Postern / Postfix', POSTERN, POSTFIX, '>=', 4)
        yield fig


# ---- relayed ----

def relayed_once(b, port, sink, messages, **options):
    """Messages a second from the first connect until the last one has come out at the other end."""
    before = sink.messages
    r = b.loader.run(port, sessions=50, per_connection=100, size=SIZE, messages=messages, **options)
    return messages / (sink.wait(before + messages) - r['began'])


def relayed(b):
    for domains, tls in ((1, False), (b.few(1000, 5), False), (1, True)):
        n, n_postfix = b.few(20000, 60), b.few(3000, 60)
        fig = Figure(f'relayed-{domains}' + ('-tls' if tls else ''), f'Messages relayed a second, to {domains} domain'
                     f'{"s" if domains > 1 else ""}{", by TLS" if tls else ""}', b.setup(
            f'{n} messages ({n_postfix} for Postfix) of {SIZE} octets, 50 sessions, 100 a connection, no TLS; from the first connect until '
            f'the last one is at {"a sink with STARTTLS, which both require" if tls else "smtp-sink, without TLS"}; both have it as '
            'their only host, with up to 50 connections; every message synced (fdatasync, Postfix fsync) before it is accepted; '
            'history and log on'))
        options = {'to': 'user@d%u.test', 'to_count': domains}
        with contextlib.ExitStack() as stack:
            peers = Peers(stack, fig)
            sinks = {label: stack.enter_context(TlsSink(b.programs) if tls else Sink(count=True)) for label in (POSTERN, POSTFIX)}
            route = {'via': 'host', 'hosts': ['127.0.0.1'], 'port': sinks[POSTERN].port, 'tls': 'require' if tls else 'off',
                     'connections': 50}
            servers = {POSTERN: peers.add(POSTERN, lambda: b.server({'routes': {'sink': route}})),
                       POSTFIX: peers.add(POSTFIX, lambda: b.postfix(relay_to=sinks[POSTFIX].port, relay_tls=tls))}
            servers = {label: s for label, s in servers.items() if s}
            amount = {POSTERN: n, POSTFIX: n_postfix}
            for label in servers:
                relayed_once(b, peers.ports[label], sinks[label], b.few(500, 20), **options)
            for _ in range(b.runs):
                for label, s in servers.items():
                    before = machine.cpu_seconds(s.process.pid)
                    fig.add(label, relayed_once(b, peers.ports[label], sinks[label], amount[label], **options))
                    fig.add(label + CPU, (machine.cpu_seconds(s.process.pid) - before) / amount[label] * 1e6)
        fig.ratio('Postern / Postfix', POSTERN, POSTFIX, *(() if tls else ('>=', 8)))
        yield fig


# ---- TLS ----

@contextlib.contextmanager
def s_server(certificate):
    port = machine.free_port()
    p = subprocess.Popen(['openssl', 's_server', '-accept', f'127.0.0.1:{port}', '-cert', certificate[0], '-key', certificate[1],
                          '-quiet'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True)
    try:
        time.sleep(0.5)
        yield port
    finally:
        machine.stop(p)


def s_time(port, seconds, at_once):
    """Handshakes a second of s_time, without resumption, so many at once."""
    ps = [subprocess.Popen(['openssl', 's_time', '-connect', f'127.0.0.1:{port}', '-new', '-time', str(seconds)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(at_once)]
    rate = 0
    for p in ps:
        out = p.communicate(timeout=60)[0]
        found = re.search(r'(\d+) connections in (\d+) real seconds', out)
        if not found:
            raise RuntimeError('openssl s_time: ' + out[-500:])
        rate += int(found.group(1)) / int(found.group(2))
    return rate


def starttls(b):
    fig = Figure('starttls', 'STARTTLS sessions with one message a second', b.setup(
        f'{SIZE} octets, 50 sessions, TLS 1.3, ECDSA P-256 certificate everywhere, no resumption; recipient as in accepted-1; '
        'openssl does handshakes only, no SMTP and no message'))
    one, two = 'openssl s_server and one s_time (handshakes)', 'openssl s_server and two s_time (handshakes)'
    options = {'sessions': 50, 'size': SIZE, 'to': 'someone@' + ELSEWHERE, 'starttls': True}
    with contextlib.ExitStack() as stack:
        certificate = stack.enter_context(b.certificate())
        peers = Peers(stack, fig)
        tls = {'tls': {'certificates': [{'cert': certificate[0], 'key': certificate[1]}]}}
        peers.add(POSTERN, lambda: b.server(tls))
        peers.add(POSTFIX, lambda: b.postfix(certificate=certificate, held=ELSEWHERE))
        port = stack.enter_context(s_server(certificate))
        for p in peers.ports.values():
            b.loader.run(p, **dict(options, messages=b.few(200, 50)))
        for _ in range(b.runs):
            measure(b, fig, peers, **options)
            fig.add(one, s_time(port, b.few(b.seconds, 1), 1))
            if not b.tiny:
                fig.add(two, s_time(port, b.seconds, 2))
    fig.ratio('Postern / s_server with one s_time', POSTERN, one, '>=', 0.8)
    fig.ratio('Postern / s_server with two s_time', POSTERN, two)
    fig.ratio('Postern / Postfix', POSTERN, POSTFIX)
    yield fig


# ---- logins ----

def logins(b):
    fig = Figure('logins', 'Logins a second', b.setup(
        '50 sessions, TLS from the first octet (a whole handshake each, ECDSA P-256), AUTH PLAIN, QUIT; first: the password is '
        'hashed (Argon2id, 64 MiB, 2 threads); remembered: within passwords.remember'))
    first, again = 'first', 'remembered'
    options = {'sessions': 50, 'per_connection': 0, 'tls': True, 'auth': 'ann@example.org:' + PASSWORD}
    with contextlib.ExitStack() as stack:
        servers = {first: stack.enter_context(b.server({'passwords': {'remember': '0s'}})), again: stack.enter_context(b.server())}
        for s in servers.values():
            s.account('ann@example.org', PASSWORD)
            b.loader.run(s.port['submissions'], **dict(options, messages=1, sessions=1))
        for _ in range(b.runs):
            for label, s in servers.items():
                r = b.loader.run(s.port['submissions'], **dict(options, **(dict(messages=4) if b.tiny else b.amount())))
                fig.add(label, r['rate'])
                fig.add(label + ', median of the answer to AUTH (ms)', r['p50_ms'])
    yield fig


# ---- memory ----

def idle(b):
    n, n_postfix = b.few(10000, 200), b.few(1000, 20)
    fig = Figure('idle', f'Memory with {n} idle connections, MB', f'PSS of all processes (10^6 octets); each connection has said '
                 f'EHLO and holds; {b.cores} cores, one run')
    for label, options, limit in (('plain', {}, 120), ('TLS 1.3', {'starttls': True}, 280)):
        with b.server() as s:
            before = machine.pss_mb(s.process.pid)
            with b.loader.hold(s.port['relay'], n, sources=50, **options):
                time.sleep(b.few(2, 0.1))
                after = machine.pss_mb(s.process.pid)
        fig.add(f'Postern with no connection ({label})', before)
        fig.add(f'Postern, {n} {label}', after)
        fig.result(f'{n} {label} connections, MB', after, '<', limit)
        fig.result(f'a {label} connection, KB', (after - before) * 1000 / n)
    try:
        with contextlib.ExitStack() as stack:
            certificate = stack.enter_context(b.certificate())
            for label, options in (('plain', {}), ('TLS 1.3', {'starttls': True})):
                with b.postfix(processes=n_postfix + 50, certificate=certificate) as p:
                    with b.loader.hold(p.port, n_postfix, sources=50, **options):
                        time.sleep(b.few(2, 0.1))
                        fig.add(f'Postfix, {n_postfix} {label}', machine.pss_mb(p.pid))
    except Unavailable as e:
        fig.note(f'Postfix is left out: {e}')
    yield fig


def drip(b):
    n = b.few(10000, 100)
    fig = Figure('drip', f'A well-behaved client beside {n} connections that each send an octet a second', b.setup(
        f'{SIZE} octets, 5 sessions, one message a connection, no TLS, recipient as in accepted-1; the whole time is from connect '
        'until the final answer'))
    options = {'sessions': 5, 'size': SIZE, 'to': 'someone@' + ELSEWHERE}
    before, beside = 'p99 of the whole time, nobody else (ms)', f'p99 of the whole time, beside {n} (ms)'
    with b.server() as s:
        for _ in range(b.runs):
            fig.add(before, b.loader.run(s.port['relay'], **b.amount(), **options)['whole_p99_ms'])
        with b.loader.hold(s.port['relay'], n, sources=50, drip=1000):
            for _ in range(b.runs):
                r = b.loader.run(s.port['relay'], **b.amount(), **options)
                fig.add(beside, r['whole_p99_ms'])
                fig.add(f'messages a second, beside {n}', r['rate'])
            cpu, begin = machine.cpu_seconds(s.process.pid), time.monotonic()
            time.sleep(b.few(5, 1))
            fig.result(f'CPU for {n} such connections alone, percent of a core',
                       (machine.cpu_seconds(s.process.pid) - cpu) / (time.monotonic() - begin) * 100)
    fig.result(f'p99 of the whole time beside {n}, ms', fig.median(beside), '<', 100)
    yield fig


class Peak:
    """The largest memory of a server while the block runs."""

    def __init__(self, pid):
        self.pid, self.mb, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.over.wait(0.02):
            self.mb = max(self.mb, machine.pss_mb(self.pid))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def large(b):
    mb, boxes, small_mb, big_mb = 1 << 20, b.few(1000, 20), b.few(5, 1), b.few(50, 4)
    fig = Figure('large', 'Memory while large messages go through, MB', 'PSS of all processes at its peak (10^6 octets), from '
                 f'the first connect until all is delivered; 8 sessions; {b.cores} cores, one run')
    addresses = [f'user{i}@example.org' for i in range(boxes)]
    with b.server(mailboxes=addresses) as s:
        folders = [s.mailbox(a) for a in addresses]

        def once(copies, **options):
            for f in files(folders):
                os.unlink(f.path)
            b.loader.run(s.port['relay'], sessions=8, to='user%u@example.org', to_count=boxes, **options)
            deadline = time.monotonic() + 120
            while sum(1 for _ in files(folders)) < copies:
                if time.monotonic() > deadline:
                    raise RuntimeError('not every message was delivered')
                time.sleep(0.1)

        def peak(label, copies, rounds=1, **options):
            with Peak(s.process.pid) as p:
                for _ in range(rounds):
                    once(copies, **options)
            fig.add(label, p.mb)
            return p.mb

        fig.add('at rest', machine.pss_mb(s.process.pid))
        peak('messages of 4 KiB', b.few(400, 40), messages=b.few(400, 40), size=SIZE)
        small = peak(f'messages of {small_mb} MB, one recipient', b.few(16, 8), messages=b.few(16, 8), size=small_mb * mb)
        big_size = big_mb * mb - 4096  # with its headers below the limit of 50 MiB
        big = peak(f'messages of {big_mb} MB, one recipient', b.few(16, 8), messages=b.few(16, 8), size=big_size)
        one = peak('messages of 100 KB, one recipient', b.few(100, 8), messages=b.few(100, 8), size=100000)
        many = peak(f'8 messages of 100 KB to {boxes} recipients each', 8 * boxes, messages=8, size=100000, recipients=boxes)
        again = peak('the same, four times', 8 * boxes, 4, messages=8, size=100000, recipients=boxes)
    fig.result(f'peak at {big_mb} MB / peak at {small_mb} MB', big / small, '<=', 1.25)
    fig.result(f'peak with {boxes} recipients, four times / once', again / many, '<=', 1.25)
    fig.result(f'KB for each of the {8 * boxes} recipients under way', max(many - one, 0) * 1000 / (8 * boxes))
    yield fig


# ---- a long queue ----

def fill(b, server, n):
    """Puts n deferred messages into the spool of a server that is stopped."""
    spool = os.path.join(server.config['state_dir'], 'spool')
    owner = os.stat(spool)
    subprocess.run([os.path.join(b.programs, 'bench-fill'), spool, str(n)], check=True)
    for path in (spool, *(f.path for f in os.scandir(spool))):
        os.chown(path, owner.st_uid, owner.st_gid)


def long_queue(b):
    n = b.few(1000000, 2000)
    fig = Figure('long-queue', f'{n} deferred messages, to 1000 domains', f'put there by bench/fill.c, none due within the hour; times '
                 'from the start of the server until the queue is loaded, and of commands of the command line; memory of '
                 f'the queue process beyond that of an empty queue; {b.cores} cores, one run')
    options = {'sessions': 50, 'per_connection': 100, 'size': SIZE, 'to': 'someone@' + ELSEWHERE}

    def timed(label, call):
        begin = time.monotonic()
        out = call()
        fig.add(label, time.monotonic() - begin)
        return out

    def loaded(s):
        while not next(r for r in s.json('status')['roles'] if r['role'] == 'queue')['loaded']:
            time.sleep(0.1)

    config = {'routes': {'all': {'via': 'host', 'hosts': ['127.0.0.1'], 'port': machine.free_port()}}}
    with b.server(config) as s:
        fig.add('accepted a second, nothing waits', b.loader.run(s.port['relay'], **b.amount(), **options)['rate'])
    with b.server(config) as s:
        empty = machine.pss_mb(s.pids()['queue'][0])
        s.stop()
        fill(b, s, n)
        begin = time.monotonic()
        s.start(timeout=120)
        fig.add('accepts mail after (s)', time.monotonic() - begin)
        loaded(s)
        took = time.monotonic() - begin
        fig.add('all are loaded after (s)', took)
        memory = (machine.pss_mb(s.pids()['queue'][0]) - empty) * 1e6 / n
        found = timed('queue list --domain, of one domain (s)',
                      lambda: s.json('queue', 'list', '--domain', 'd17.test', '--limit', str(n)))
        timed('queue summary (s)', lambda: s.cli('queue', 'summary'))
        fig.add('accepted a second, beside them', b.loader.run(s.port['relay'], **b.amount(), **options)['rate'])
    if len(found) != (n + 982) // 1000:
        raise RuntimeError(f'{len(found)} messages to d17.test were listed')
    fig.result('octets of memory a message', memory, '<', 300)
    fig.result('start, s', took, '<', 30)
    yield fig


SCENARIOS = {'accepted': accepted, 'slow-disk': slow_disk, 'delivered': delivered, 'relayed': relayed, 'starttls': starttls, 'logins': logins,
             'idle': idle, 'drip': drip, 'large': large, 'long-queue': long_queue, 'merge': merge}
