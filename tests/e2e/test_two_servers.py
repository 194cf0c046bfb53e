"""Two servers on one machine, with the same images and different data: neither touches the other's sandboxes."""

import pytest
from leftovers import leftovers
from service import Service, answer


@pytest.fixture
def pair(sandyd):
    """Both as they start by themselves, with control groups of their own choice."""
    return sandyd(cgroup_parent=None), sandyd(cgroup_parent=None)


def clients(pair):
    return [Service(each.base_url, each.api_key) for each in pair]


def listed(api) -> set:
    return {each["id"] for each in answer(api.http.get("/api/sandboxes"))["sandboxes"]}


def test_each_sees_only_its_own(pair):
    first, second = clients(pair)
    with first, second, first.box() as mine, second.box() as theirs:
        assert listed(first) == {mine} and listed(second) == {theirs}
        assert first.get(theirs).status_code == second.get(mine).status_code == 404
        assert second.terminate(mine).status_code == 404
        for box, api in ((mine, first), (theirs, second)):
            api.write(box, "who", box)
        assert first.output(mine, "cat who") == mine and second.output(theirs, "cat who") == theirs
        assert pair[0].api_key != pair[1].api_key
        assert Service(pair[0].base_url, pair[1].api_key).http.get("/api/sandboxes").status_code == 401


def test_one_that_is_killed_and_comes_back_leaves_the_other_alone(pair):
    first, second = clients(pair)
    with second:
        mine, theirs = [first.create()["id"] for _ in range(2)], [second.create()["id"] for _ in range(2)]
        process = second.start(theirs[0], "sleep 1000")["process_id"]
        for _ in range(3):
            pair[0].kill()
            assert second.output(theirs[0], "echo fine") == "fine\n"
            pair[0].start()
            with Service(pair[0].base_url, pair[0].api_key) as first:
                assert listed(first) == set(mine) and first.output(mine[1], "echo fine") == "fine\n"
            assert listed(second) == set(theirs) and second.output(theirs[1], "echo fine") == "fine\n"
            assert answer(second.http.get(f"/api/sandboxes/{theirs[0]}/processes/{process}"))["status"] == "running"


def test_one_that_ends_everything_leaves_the_other_alone(pair):
    first, second = clients(pair)
    with first, second, second.box() as theirs:
        first.create()
        pair[0].terminate_all()
        assert pair[0].stop() == 0 and leftovers(pair[0]) == []
        assert second.output(theirs, "echo fine") == "fine\n"


def test_both_under_load_do_not_mix_up_their_sandboxes(pair):
    for round_number in range(3):
        first, second = clients(pair)
        with first, second:
            boxes = [(api, api.create(env={"OWNER": str(index)})["id"], index) for _ in range(3) for index, api in enumerate((first, second))]
            assert len({box for _, box, _ in boxes}) == 6
            for api, box, index in boxes:
                assert api.output(box, "echo $OWNER") == f"{index}\n"
            for api, box, _ in boxes:
                answer(api.terminate(box))
