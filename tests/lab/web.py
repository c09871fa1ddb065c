"""A web server with HTTPS on a host of the lab, for the hosts and paths that a test names.

    with Web(host, lab.certificate('autoconfig.a.test'), lab.folder) as web:
        web.pages['autoconfig.a.test', '/mail/config-v1.1.xml'] = '<clientConfig ...'
        web.asked                                    # (host, path), as they came
"""
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    def __init__(self, host, certificate, folder):
        self.pages, self.asked = {}, []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = (self.headers['Host'].split(':')[0], self.path)
                web.asked.append(asked)
                body = web.pages.get(asked)
                self.send_response(404 if body is None else 200)
                self.send_header('Content-Type', 'text/plain')
                self.end_headers()
                self.wfile.write((body or '').encode())

            def log_message(self, *_):
                pass

        file = os.path.join(folder, 'web.pem')
        with open(file, 'w') as f:
            f.write(''.join(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        with host.inside():
            self.server = ThreadingHTTPServer((host.address, 443), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
