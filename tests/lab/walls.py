"""What stands between a client and the servers: a router whose firewall and whose boxes treat each client as it wants.

    gate = Gate(lab.net)
    client = gate.client()
    gate.wall(client, '465 drop')           # of each packet to that port
    gate.wall(client, '587/4 strip')        # only over IPv4: a box that takes STARTTLS out of what the server says
    gate.wall(client, '587/192.0.2.7 mask') # only to that address
    gate.start()

All that a client sends goes by the gate; what a server answers comes back directly, unless a box of the gate gave it.
"""
import copy
import socket
import struct
import subprocess
import threading

GATE, GATE6 = '192.0.2.254', '2001:db8::fe'

# How a firewall refuses.
ACTIONS = {'drop': 'drop', 'reset': 'reject with tcp reset', 'reject': 'reject with icmpx port-unreachable',
           'prohibit': 'reject with icmpx admin-prohibited', 'unreach': 'reject with icmpx host-unreachable'}


def rule(chain, what, family=None, client=None, way='dport'):
    """'465 drop', '587/6 reset': a rule of nft."""
    port, action = what.split(' ', 1)
    port, _, only = port.partition('/')
    words = {'4': ['meta nfproto ipv4'], '6': ['meta nfproto ipv6'], '': []}.get(only, [f'ip daddr {only}'])
    if client:
        words.append({'4': f'ip saddr {client.v4[0]}', '6': f'ip6 saddr {client.v6[0]}'}[family])
    return ' '.join([chain, *words, f'tcp {way} {port}', ACTIONS.get(action, action)])


# ---- boxes that change what the server says before TLS: each takes one reply, a list of lines, and returns another ----

def strip(lines):
    left = [x for x in lines if x[4:].upper() != b'STARTTLS']
    return [*(x[:3] + b'-' + x[4:] for x in left[:-1]), left[-1][:3] + b' ' + left[-1][4:]]


def mask(lines):
    return [x.replace(b'STARTTLS', b'XXXXXXXA') for x in lines]


def stars(lines):
    return [x[:4] + b'*' * len(x[4:]) for x in lines] if lines[0].startswith(b'220') else lines


REWRITES = {'strip': strip, 'mask': mask, 'stars': stars}
# Resets when the client has spoken: after the greeting, first of all; closes at once; says nothing.
CUTS = ('cut', 'cut-hello', 'close', 'hang')


def reset(client):
    """Once it is closed."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


class Box:
    """A transparent proxy on the gate."""

    def __init__(self, host, what):
        self.host, self.what = host, what
        with host.inside():
            self.socket = socket.create_server(('::', 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def original(client):
        """Where it was going.  SO_ORIGINAL_DST, of both families."""
        if client.getpeername()[0].startswith('::ffff:'):
            to = client.getsockopt(socket.IPPROTO_IP, 80, 16)
            return socket.inet_ntop(socket.AF_INET, to[4:8]), struct.unpack('>H', to[2:4])[0]
        to = client.getsockopt(socket.IPPROTO_IPV6, 80, 28)
        return socket.inet_ntop(socket.AF_INET6, to[8:24]), struct.unpack('>H', to[2:4])[0]

    def serve(self, client):
        with client:
            client.settimeout(120)
            try:
                if self.what == 'hang':
                    while client.recv(1 << 16):
                        pass
                elif self.what == 'cut-hello':
                    client.recv(1)
                    reset(client)
                elif self.what != 'close':
                    with self.host.inside():
                        server = socket.create_connection(self.original(client), 60)
                    with server:
                        self.relay(client, server)
            except OSError:
                pass

    def relay(self, client, server):
        replies = server.makefile('rb')
        if self.what == 'cut':
            client.sendall(replies.readline())
            client.recv(1)
            reset(client)
            return
        threading.Thread(target=self.forth, args=(client, server), daemon=True).start()
        greeted, lines = False, []
        for line in replies:
            lines.append(line.rstrip(b'\r\n'))
            if line[3:4] == b'-':
                continue
            lines = REWRITES[self.what](lines)
            client.sendall(b''.join(x + b'\r\n' for x in lines))
            if greeted and lines[0].startswith(b'220'):
                break  # TLS from here on
            greeted, lines = True, []
        while data := replies.read1(1 << 16):
            client.sendall(data)

    @staticmethod
    def forth(client, server):
        try:
            while data := client.recv(1 << 16):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.close()


# ---- the router ----

class Gate:
    def __init__(self, net):
        self.net = net
        self.host = net.host('gate', GATE, GATE6)
        self.sysctl('net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.conf.all.send_redirects=0',
                    'net.ipv4.conf.eth0.send_redirects=0')
        self.boxes = {what: Box(self.host, what) for what in (*REWRITES, *CUTS)}
        self.ports = {what: box.port for what, box in self.boxes.items()}
        self.rules = []
        self.clients = 0

    def sysctl(self, *settings):
        self.host.run('sysctl', '-qw', *settings)

    @property
    def anywhere(self):
        """The gate as a host on which a Peer takes whatever is led to it."""
        host = copy.copy(self.host)
        host.v4, host.v6 = ['0.0.0.0'], ['::']
        return host

    def stand_in(self, what, peer):
        """A server on the gate that answers instead of others, in the rules called so."""
        self.ports[what] = peer.port

    def client(self):
        """A host that reaches everything by the gate."""
        self.clients += 1
        name, v4, v6 = f'c{self.clients}', f'198.18.0.{self.clients}', f'2001:db8:c::{self.clients:x}'
        host = self.net.host(name, v4, v6)
        host.run('sysctl', '-qw', 'net.ipv6.conf.eth0.accept_redirects=0')
        self.net.batch(name, *(f'route replace default via {gate} dev eth0 onlink src {source}' for gate, source in ((GATE, v4), (GATE6, v6))))
        return host

    def wall(self, client, what):
        """'465 drop', '587/4 strip': what becomes of this client's connections to a port."""
        port, action = what.split()
        if action in self.ports:
            what = f'{port} redirect to :{self.ports[action]}'
        for family in '46':
            if '/' not in port or port.endswith('/' + family) or '.' in port and family == '4':
                self.rules.append(rule('add rule inet gate ' + ('pre' if action in self.ports else 'forward'), what, family, client))

    def start(self):
        """The rules are in force from now on."""
        text = ('table inet gate {\n chain pre { type nat hook prerouting priority -100; }\n'
                ' chain forward { type filter hook forward priority 0; }\n}\n' + ''.join(r + '\n' for r in self.rules))
        p = subprocess.run([*self.host.prefix(), 'nft', '-f', '-'], input=text, capture_output=True, text=True)
        assert p.returncode == 0, p.stderr

    def close(self):
        for box in self.boxes.values():
            box.close()
