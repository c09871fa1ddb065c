"""A server of its own for each module, and a folder that each client may write into."""
import concurrent.futures
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from clients import CLIENTS, Task  # noqa: E402
from words import BODY, PASSWORD, subject_of  # noqa: E402

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
            return {name: job.result() for name, job in jobs.items()}
    return run
