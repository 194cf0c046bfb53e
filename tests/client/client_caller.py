"""Lets one test serve both clients."""

import inspect


class Caller:
    """One way of calling the client; `call` and `chunks` hide whether it is asynchronous."""

    def __init__(self, client, run):
        self.client = client
        self._run = run

    def call(self, name, *args, **kwargs):
        outcome = getattr(self.client, name)(*args, **kwargs)
        return self._run(outcome) if inspect.iscoroutine(outcome) else outcome

    def next(self, iterator):
        return self._run(iterator.__anext__()) if hasattr(iterator, "__anext__") else next(iterator)

    def pieces(self, iterable):
        if hasattr(iterable, "__aiter__"):
            async def collect():
                return [piece async for piece in iterable]
            return self._run(collect())
        return list(iterable)
