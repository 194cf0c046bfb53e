"""The service as a plain HTTP client sees it. Knows nothing of how clients read answers: tests say what they read."""

import contextlib

import httpx


class Service:
    """One server and one key (None: no credentials)."""

    def __init__(self, base_url: str, api_key=None, **settings):
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.http = httpx.Client(base_url=base_url, headers=headers, timeout=60, **settings)

    def close(self) -> None:
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def create(self, **body) -> dict:
        return answer(self.http.post("/api/sandboxes", json=body))

    def get(self, box: str) -> httpx.Response:
        return self.http.get(f"/api/sandboxes/{box}")

    def terminate(self, box: str) -> httpx.Response:
        return self.http.post(f"/api/sandboxes/{box}/terminate")

    @contextlib.contextmanager
    def box(self, **body):
        """The id of a sandbox that ends with the block."""
        made = self.create(**{"ttl_seconds": 600, **body})["sandboxId"]
        try:
            yield made
        finally:
            self.terminate(made)

    def exec(self, box: str, command: str, **fields) -> dict:
        """Runs a command; any outcome of it is an answer with status 200."""
        return answer(self.http.post(f"/api/sandboxes/{box}/exec", json={"command": command, **fields}))

    def output(self, box: str, command: str, **fields) -> str:
        """What a command that succeeds writes."""
        result = self.exec(box, command, **fields)
        assert result["exitCode"] == 0, result
        return result["stdout"]

    def start(self, box: str, command: str, **fields) -> dict:
        """Starts a background process."""
        return answer(self.http.post(f"/api/sandboxes/{box}/exec", json={"command": command, "background": True, **fields}))

    def write(self, box: str, path: str, content: str, **fields) -> dict:
        body = {"path": path, "content": content, **fields}
        return answer(self.http.post(f"/api/sandboxes/{box}/files/write", json=body))

    def read(self, box: str, path: str, **query) -> httpx.Response:
        return self.http.get(f"/api/sandboxes/{box}/files/read", params={"path": path, **query})


def answer(response: httpx.Response):
    """The JSON of an answer that must be 200: clients reject 201 and call their JSON parser on every body."""
    assert response.status_code == 200, (response.status_code, response.text[:500])
    assert response.headers["Content-Type"].split(";")[0] == "application/json"
    return response.json()


def refusal(response: httpx.Response, status) -> str:
    """The sentence of a refused request. @param status one status, or a tuple of those that clients take as the same."""
    statuses = status if isinstance(status, tuple) else (status,)
    assert response.status_code in statuses, (response.status_code, response.text[:500])
    body = response.json()
    assert isinstance(body["detail"], str) and body["detail"]
    assert isinstance(body["error"]["code"], str) and isinstance(body["error"]["message"], str)
    return body["detail"]
