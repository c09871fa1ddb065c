"""Zones of .test, signed, served by a real name server (Debian's NSD, unpacked below build/) on loopback.

    zones = Zones()
    zones.add('a.test', {'@': ['MX 10 mx'], 'mx': ['A 127.0.0.2'], '_25._tcp.mx': ['TLSA 3 1 1 00ff']})
    zones.add('b.test', {'@': ['MX 10 mx.a.test.']}, kind='unsigned')
    with zones:
        with make_server({**zones.config(), 'routes': ...}) as server:
            ...
        zones.change('a.test', {'@': ['MX 10 other']})

Names without a final dot stand below their zone. The zone test is there by itself, signed, and delegates
the others; its key is the trust anchor. Kinds of a zone:

    signed     as it should be
    unsigned   its parent has no DS for it: nothing in it is secure
    bogus      its parent's DS is of another key
    expired    its signatures ended yesterday
    silent     questions about it are never answered
    broken     they are answered SERVFAIL

Names in none of the zones do not exist.

Between the asker and NSD stands a little proxy of ours, which makes the last two, and knows what was
asked: zones.asked is a list of (name, type). Time to live is one second, so that a change is seen soon.

With top='' the zone at the top is the root itself, served at an address of a root server in a network
namespace of the test's own (port=53), and at more of them: then there is no proxy, and none of its kinds.
"""
import glob
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time

import debian
import pytest

TYPES = {1: 'A', 2: 'NS', 5: 'CNAME', 6: 'SOA', 12: 'PTR', 15: 'MX', 16: 'TXT', 28: 'AAAA', 33: 'SRV', 43: 'DS',
         48: 'DNSKEY', 52: 'TLSA'}
SOA = 'SOA ns.test. hostmaster.test. {serial} 3600 600 86400 1'


def unpacked():
    """The folder that holds the packages' usr/; the test is skipped where they cannot be had."""
    try:
        return debian.unpacked('nsd', 'ldnsutils')
    except debian.Unavailable as e:
        pytest.skip(f'NSD: {e}')


def tool(name, *args, cwd, **more):
    return subprocess.run([os.path.join(unpacked(), 'usr/bin', name), *args], cwd=cwd, env=environment(), check=True,
                          capture_output=True, text=True, timeout=60, **more).stdout


def environment():
    return dict(os.environ, LD_LIBRARY_PATH=glob.glob(os.path.join(unpacked(), 'usr/lib/*-linux-gnu'))[0])


def free_port(address):
    """A port that is free for UDP and TCP."""
    for _ in range(100):
        with socket.socket() as t, socket.socket(type=socket.SOCK_DGRAM) as u:
            t.bind((address, 0))
            try:
                u.bind(t.getsockname())
            except OSError:
                continue
            return t.getsockname()[1]
    raise RuntimeError('no free port')


def question(message):
    """Name and type that a message asks about."""
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode('latin1'))
        at += 1 + message[at]
    kind = struct.unpack('>H', message[at + 1:at + 3])[0]
    return '.'.join(labels).lower(), TYPES.get(kind, str(kind))


class Zone:
    def __init__(self, name, records, kind):
        self.name, self.records, self.kind = name, records, kind
        self.key = self.ds = None
        self.serial = 0

    def text(self, delegated, ttl, top, address):
        self.serial += 1
        origin = self.name + '.' if self.name else '.'
        lines = [f'$ORIGIN {origin}', f'$TTL {ttl}', '@ ' + SOA.format(serial=self.serial), '@ NS ns.test.']
        if self.name in (top, 'test'):
            lines.append(f'ns.test. A {address}')
        for owner, records in self.records.items():
            lines += [f'{owner} {record}' for record in records]
        for child in delegated:
            lines.append(f'{child.name}. NS ns.test.')
            if child.ds and child.kind != 'unsigned':
                lines.append(child.ds)
        return '\n'.join(lines) + '\n'


class Proxy:
    """What stands before NSD: UDP and TCP."""

    def __init__(self, owner, address, port, behind):
        self.owner, self.behind = owner, behind
        self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.udp.bind((address, port))
        self.tcp = socket.create_server((address, port))
        for run in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=run, daemon=True).start()

    def judge(self, message):
        """What is answered without NSD: None, '' (nothing), or a message."""
        try:
            name, kind = question(message)
        except (IndexError, struct.error):
            return b''
        self.owner.asked.append((name, kind))
        fate = self.owner.fate(name)
        if fate == 'silent':
            return b''
        rcode = {'broken': 2, None: 3}.get(fate)
        if rcode is None:
            return None
        return message[:2] + bytes([0x80, rcode]) + message[4:6] + bytes(6) + message[12:12 + len(name) + 6]

    def serve_udp(self):
        while True:
            try:
                message, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            threading.Thread(target=self.one_udp, args=(message, peer), daemon=True).start()

    def one_udp(self, message, peer):
        try:
            answer = self.judge(message)
            if answer is None:
                with socket.socket(type=socket.SOCK_DGRAM) as s:
                    s.settimeout(60)
                    s.connect(self.behind)
                    s.send(message)
                    answer = s.recv(65535)
            if answer:
                self.udp.sendto(answer, peer)
        except OSError:
            pass

    def serve_tcp(self):
        while True:
            try:
                peer, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.one_tcp, args=(peer,), daemon=True).start()

    def one_tcp(self, peer):
        def message(sock):
            n = sock.recv(2, socket.MSG_WAITALL)
            return sock.recv(struct.unpack('>H', n)[0], socket.MSG_WAITALL) if len(n) == 2 else b''
        try:
            with peer, socket.create_connection(self.behind, timeout=60) as s:
                while asked := message(peer):
                    answer = self.judge(asked)
                    if answer is None:
                        s.sendall(struct.pack('>H', len(asked)) + asked)
                        answer = message(s)
                    if answer:
                        peer.sendall(struct.pack('>H', len(answer)) + answer)
        except OSError:
            pass

    def close(self):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class Zones:
    def __init__(self, address='127.0.0.1', ttl=1, port=0, top='test', more=()):
        """port: where the asker is served; 0: one that is free."""
        self.address, self.ttl, self.wanted, self.top, self.more = address, ttl, port, top, more
        self.zones = {}
        self.asked = []
        self.server = self.proxy = None
        self.add(top, {})

    def add(self, name, records, kind='signed'):
        assert not self.server, 'zones are added before the start; change() afterwards'
        self.zones[name] = Zone(name, records, kind)
        return self

    def parent(self, zone):
        """The zone that delegates this one; None at the top."""
        over = [z for z in self.zones.values() if z is not zone and (not z.name or zone.name.endswith('.' + z.name))]
        return max(over, key=lambda z: len(z.name), default=None)

    def fate(self, name):
        """The kind of the zone that this name is in."""
        over = [z for z in self.zones.values() if name == z.name or name.endswith('.' + z.name)]
        return max(over, key=lambda z: len(z.name)).kind if over else None

    # ---- files ----

    def keys(self, zone):
        made = tool('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', (zone.name or '') + '.', cwd=self.folder)
        zone.key = made.strip()
        with open(os.path.join(self.folder, zone.key + '.ds')) as f:
            zone.ds = f.read().strip()
        if zone.kind == 'bogus':  # the parent vouches for this one, and another signs
            zone.key = tool('ldns-keygen', '-a', 'ECDSAP256SHA256', '-k', zone.name + '.', cwd=self.folder).strip()

    def write(self, zone):
        children = [z for z in self.zones.values() if self.parent(z) is zone]
        plain = os.path.join(self.folder, f'zone.{zone.name}')
        with open(plain, 'w') as f:
            f.write(zone.text(children, self.ttl, self.top, self.address))
        if not zone.key:
            shutil.copy(plain, plain + '.served')
            return
        day = 86400
        end = int(time.time()) + (-day if zone.kind == 'expired' else 30 * day)
        tool('ldns-signzone', '-f', plain + '.signing', '-i', str(int(time.time()) - 10 * day), '-e', str(end),
             plain, zone.key, cwd=self.folder)
        os.rename(plain + '.signing', plain + '.served')

    def write_all(self):
        for zone in self.zones.values():
            if zone.kind in ('signed', 'bogus', 'expired'):
                self.keys(zone)
        for zone in self.zones.values():
            self.write(zone)
        self.anchors = os.path.join(self.folder, 'anchors')
        with open(self.anchors, 'w') as f:
            f.writelines(z.ds + '\n' for z in self.zones.values() if z.ds and self.parent(z) is None)

    def change(self, name, records):
        """Other records, served from now on."""
        zone = self.zones[name]
        zone.records = records
        self.write(zone)
        time.sleep(0.01)  # NSD looks at the time of the file
        os.kill(self.server.pid, 1)
        deadline = time.monotonic() + 60
        while self.served_serial(name) != zone.serial:
            if time.monotonic() > deadline:
                raise RuntimeError(f'NSD does not take the new zone {name}:\n' + self.log())
            time.sleep(0.02)

    # ---- the server ----

    def served_serial(self, name):
        """The serial number in the zone's SOA, as NSD has it; None while it does not answer."""
        labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.') if label) + b'\0'
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.settimeout(1)
            try:
                s.connect((self.address, self.nsd_port))
                s.send(b'\x11\x11\0\0\0\1\0\0\0\0\0\0' + labels + b'\0\6\0\1')
                answer = s.recv(4096)
            except OSError:
                return None
        # The other numbers of the SOA stand behind it; of an absent zone there is none.
        at = answer.find(struct.pack('>IIII', 3600, 600, 86400, 1))
        return struct.unpack('>I', answer[at - 4:at])[0] if at > 4 else None

    def log(self):
        with open(os.path.join(self.folder, 'nsd.log'), errors='replace') as f:
            return f.read()[-2000:]

    def start_server(self, port):
        self.nsd_port = port
        lines = ['server:', *(f' ip-address: {a}@{port}' for a in (self.address, *self.more)), ' server-count: 1', ' database: ""', ' username: ""',
                 f' zonesdir: {self.folder}', f' pidfile: {self.folder}/nsd.pid', f' xfrdfile: {self.folder}/xfrd',
                 f' zonelistfile: {self.folder}/zonelist', f' logfile: {self.folder}/nsd.log', ' xfrd-reload-timeout: 0',
                 ' rrl-ratelimit: 0', 'remote-control:', ' control-enable: no']
        for z in self.zones.values():
            lines += ['zone:', f' name: "{z.name}."', f' zonefile: zone.{z.name}.served']
        config = os.path.join(self.folder, 'nsd.conf')
        with open(config, 'w') as f:
            f.write('\n'.join(lines) + '\n')
        self.server = subprocess.Popen([os.path.join(unpacked(), 'usr/sbin/nsd'), '-d', '-c', config], env=environment(),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while self.served_serial(self.top) is None:
            if self.server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError('NSD does not start:\n' + self.log())
            time.sleep(0.02)

    def __enter__(self):
        unpacked()
        self.folder = tempfile.mkdtemp(prefix='zones-')
        os.chmod(self.folder, 0o755)
        try:
            self.write_all()
            if not self.top:
                self.start_server(self.wanted)
                return self
            self.start_server(free_port(self.address))
            self.port = self.wanted or free_port(self.address)
            self.proxy = Proxy(self, self.address, self.port, (self.address, self.nsd_port))
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        if self.proxy:
            self.proxy.close()
        if self.server:
            self.server.terminate()
            try:
                self.server.wait(10)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        self.proxy = self.server = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(self, *_):
        self.close()

    def config(self):
        """What a server's configuration needs to ask these zones, and to believe their signatures."""
        return {'dns': {'servers': [f'{self.address}:{self.port}'], 'trust_anchors': self.anchors}}
