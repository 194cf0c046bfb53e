"""Statistics, resources, time series, health: validated as BENCH validates them."""

import pytest
from contract import timestamp
from service import Service, answer
from waiting import wait_until


def is_ratio(value) -> bool:
    return value is None or (isinstance(value, (int, float)) and 0 <= value <= 1)


def test_stats_is_an_array_with_an_element_per_sandbox(api, box):
    stats = answer(api.http.get("/api/sandboxes/stats"))
    assert isinstance(stats, list) and box in [each["sandbox_id"] for each in stats]
    for each in stats:
        assert isinstance(each["sandbox_id"], str)
        assert is_ratio(each["cpu_ratio"]) and is_ratio(each["memory_ratio"])
        assert each["cpu_cores_total"] is None or type(each["cpu_cores_total"]) is int
        for name in ("memory_usage_bytes", "memory_limit_bytes", "disk_bytes"):
            assert each[name] is None or type(each[name]) is int
        timestamp(each["updated_at"])


def test_stats_takes_ids_and_leaves_out_the_unknown(api, box):
    with api.box() as other:
        def asked(ids):
            return [each["sandbox_id"] for each in answer(api.http.get("/api/sandboxes/stats", params={"ids": ids}))]

        assert asked(box) == [box]
        assert sorted(asked(f"{box},{other},0123456789abcdef")) == sorted([box, other])
        assert asked("0123456789abcdef") == []


def test_stats_count_what_the_sandbox_uses(api, box):
    def stats():
        return answer(api.http.get("/api/sandboxes/stats", params={"ids": box}))[0]

    before = stats()
    api.exec(box, "head -c 20000000 /dev/urandom > /workspace/data; sync /workspace/data")
    assert stats()["disk_bytes"] >= before["disk_bytes"] + 19_000_000
    api.exec(box, "nohup python3 -c 'data = bytearray(100_000_000)\nwhile True: pass' > /dev/null 2>&1 &")
    wait_until(lambda: stats()["memory_usage_bytes"] > before["memory_usage_bytes"] + 90_000_000, "memory shows in the stats")
    wait_until(lambda: (stats()["cpu_cores_used"] or 0) > 0.2, "use of the processor shows in the stats")


def test_resources_has_every_key_with_its_type(api, box):
    body = answer(api.http.get("/api/resources"))
    assert body["canCreateSandbox"] is True
    assert body["rejectReason"] is None or isinstance(body["rejectReason"], str)
    assert all(value is None or type(value) in (int, float) for value in body["limits"].values())
    assert all(type(value) is int for value in body["priorityBreakdown"].values())
    assert sum(body["priorityBreakdown"].values()) >= 1
    for name in ("cpu_percent", "memory_percent"):
        assert 0 <= body[name] <= 100
    sizes = ["memoryTotalBytes", "memoryUsedBytes", "memoryAvailableBytes", "diskTotalBytes", "diskUsedBytes", "diskFreeBytes"]
    assert all(type(body[name]) is int and body[name] >= 0 for name in sizes)
    assert body["memoryTotalBytes"] > 0 and type(body["cpuCount"]) is int and body["cpuCount"] > 0
    assert is_ratio(body.get("disk_used_ratio", body.get("diskUsedRatio")))
    for short, long in (("load1", "load_avg_1m"), ("load5", "load_avg_5m"), ("load15", "load_avg_15m")):
        assert isinstance(body.get(short, body.get(long)), (int, float))
    assert isinstance(body["warmPool"], dict)


@pytest.mark.parametrize("query", [{}, {"hours": 1}, {"hours": 12}, {"hours": 48}])
def test_the_time_series_is_an_array_in_order(api, query):
    series = answer(api.http.get("/api/metrics/timeseries", params=query))
    times = [timestamp(each["timestamp"]) for each in series]
    assert series and times == sorted(times)
    for each in series:
        assert all(is_ratio(each[name]) for name in ("cpu_ratio", "memory_ratio", "disk_ratio"))


@pytest.mark.parametrize("path", ["/api/health", "/health"])
def test_health_is_open_to_everybody(server, path):
    with Service(server.base_url) as anybody:
        body = answer(anybody.http.get(path))
    assert body["status"] == "ok" and isinstance(body["warmPool"], dict)
