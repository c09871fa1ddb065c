"""HAProxy and nginx in front of a server, as doc/proxy.md has them: Debian's packages, unpacked
below build/, their configuration taken from the page with other ports."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

import debian
from server import free_offset

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(TOP, 'doc/proxy.md')

NAMES = {25: 'relay', 465: 'submissions', 587: 'submission'}


def page_block(name):
    """The block of the page whose first line is '# NAME'."""
    with open(PAGE) as f:
        found = re.findall(r'^```\w*\n# ' + re.escape(name) + r'\n(.*?)^```$', f.read(), re.M | re.S)
    assert len(found) == 1
    return found[0]


def unpacked(package):
    try:
        return debian.unpacked(package)
    except debian.Unavailable as e:
        pytest.skip(str(e))


class Proxy:
    """One proxy; port[name] leads to the server's listener of that name."""

    def __init__(self, server, change=lambda text: text):
        offset = free_offset(NAMES)
        self.port = {name: port + offset for port, name in NAMES.items()}
        self.folder = tempfile.mkdtemp(prefix='proxy-')
        self.log = open(os.path.join(self.folder, 'log'), 'wb')
        text = re.sub(r'10\.0\.0\.2:(\d+)', lambda m: f'127.0.0.1:{server.port[NAMES[int(m[1])]]}', self.config())
        text = re.sub(r'(bind :|listen )(\d+)', lambda m: f'{m[1].rstrip(":")}{" " if ":" in m[1] else ""}127.0.0.1:{int(m[2]) + offset}', text)
        self.process = subprocess.Popen(self.command(change(text)), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=self.env)
        self.wait()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as f:
            f.write(text)
        return path

    def wait(self):
        until = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(('127.0.0.1', self.port['relay']), timeout=1):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    with open(self.log.name) as f:
                        pytest.fail('the proxy did not start: ' + f.read()[-2000:])
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Haproxy(Proxy):
    def config(self):
        return page_block('haproxy.cfg')

    def command(self, text):
        root = unpacked('haproxy')
        self.env = {'LD_LIBRARY_PATH': os.path.join(root, 'usr/lib/x86_64-linux-gnu')}
        return [os.path.join(root, 'usr/sbin/haproxy'), '-db', '-f', self.write('haproxy.cfg', text)]


class Nginx(Proxy):
    def config(self):
        return page_block('nginx.conf')

    def command(self, text):
        root = unpacked('nginx')
        module = os.path.join(unpacked('libnginx-mod-stream'), 'usr/lib/nginx/modules/ngx_stream_module.so')
        self.env = {}
        text = text.replace('modules/ngx_stream_module.so', module)
        user = 'user root;' if os.getuid() == 0 else ''
        path = self.write('nginx.conf', f'daemon off; {user} pid {self.folder}/pid; error_log {self.folder}/errors;\n' + text)
        return [os.path.join(root, 'usr/sbin/nginx'), '-p', self.folder, '-e', f'{self.folder}/errors', '-c', path]
