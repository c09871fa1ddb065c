"""A server of its own for each module, and a folder that each client may write into."""
import concurrent.futures
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from clients import CLIENTS, Task  # noqa: E402
from mistakes import Certificates  # noqa: E402
from words import BODY, PASSWORD, subject_of  # noqa: E402

SHOWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../build/shown')


def record(label, shown):
    """Every word that each client printed, for whoever wants to read it: build/shown/LABEL.txt."""
    os.makedirs(SHOWN, exist_ok=True)
    with open(os.path.join(SHOWN, f'{label}.txt'), 'w') as f:
        for name, s in shown.items():
            f.write(f'=== {name}: exit status {s.status}\n{s.text.strip()}\n\n')


@pytest.fixture(scope='module')
def posted(make_server, tmp_path_factory):
    """example.org with ann and bob, at a server whose certificate is for localhost and of the authority in posted.ca."""
    certificates = Certificates(str(tmp_path_factory.mktemp('authority')))
    config = {'tls': {'certificates': [{'cert': certificates.path('right.pem'), 'key': certificates.path('right.key')}]}}
    with make_server(config) as s:
        s.cli('domain', 'add', 'example.org')
        for name in ('ann', 'bob'):
            s.account(f'{name}@example.org', PASSWORD)
        s.ca = certificates.ca
        yield s


@pytest.fixture(scope='module')
def all_clients(tmp_path_factory, server):
    """A function that runs every client at once against one port and returns
    {name: Shown}; subject of each message: 'LABEL-NAME' without blanks."""
    def run(port, tls, label, auth=True, on=server):
        folder = str(tmp_path_factory.mktemp(label))
        with concurrent.futures.ThreadPoolExecutor(len(CLIENTS)) as pool:
            jobs = {}
            for name, client in CLIENTS.items():
                task = Task(folder, port, tls, subject_of(label, name), BODY, password=PASSWORD, auth=auth)
                jobs[name] = pool.submit(client, task)
            shown = {name: job.result() for name, job in jobs.items()}
        record(label, shown)
        return shown
    return run
