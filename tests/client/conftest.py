"""Makes the client importable from the tree and gives tests a server made of one function."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
import pytest

CLIENT = Path(__file__).resolve().parents[2] / "client" / "python"
sys.path.insert(0, str(CLIENT))

import sandy  # noqa: E402
from client_caller import Caller  # noqa: E402


class StandIn:
    """Answers requests from `answers` (by "METHOD path") and keeps what was asked."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        self.transport = httpx.MockTransport(self._handle)

    def _handle(self, request):
        self.requests.append(request)
        answer = self.answers.get(f"{request.method} {request.url.path}")
        if answer is None:
            return httpx.Response(404, json={"detail": "Not Found", "error": {"code": "route_not_found", "message": "Not Found"}})
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def body(self, index=-1):
        return json.loads(self.requests[index].content)


@pytest.fixture
def stand_in():
    return StandIn()


@pytest.fixture(params=["asynchronous", "synchronous"])
def caller(request, stand_in):
    kind = sandy.SandyClient if request.param == "asynchronous" else sandy.SyncSandyClient
    return Caller(kind("http://sandy.test/", "key-1", transport=stand_in.transport), asyncio.run)
