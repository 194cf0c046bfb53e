#include "tests/store/fixture.hpp"

using namespace sandy;

namespace {

agent_run_record run_of(std::uint32_t sandbox, const std::string& id, unix_millis at) {
  agent_run_record record;
  record.sandbox = make_record(sandbox).info.id;
  record.process_id = 7;
  auto& run = record.info;
  run.id = id;
  run.agent = "codex";
  run.model = "a/model";
  run.status = run_status::timed_out;
  run.started_at = at;
  run.ended_at = at + 5;
  run.exit_code = 124;
  run.session_id = "session";
  run.steps = 3;
  run.files = {"a \"quoted\" name", "b"};
  run.output = "said";
  run.error = "why";
  return record;
}

std::vector<std::string> ids_of(const result<std::vector<agent_run_record>>& runs) {
  std::vector<std::string> ids;
  for (const auto& each : *runs)
    ids.push_back(each.info.id);
  return ids;
}

} // namespace

TEST_CASE("runs of agents survive the store, the newest first, and are replaced by their id", "[store]") {
  store_directory directory;
  auto written = run_of(1, "b", 20);
  {
    auto opened = directory.open();
    for (std::uint32_t each : {1u, 2u})
      REQUIRE(opened->insert(make_record(each)));
    written.info.status = run_status::running;
    REQUIRE(opened->put_run(written));
    written.info.status = run_status::timed_out;
    for (const auto& each : {written, run_of(1, "a", 10), run_of(2, "c", 30)})
      REQUIRE(opened->put_run(each));
  }
  auto opened = directory.open();
  auto runs = opened->runs(written.sandbox);
  REQUIRE(ids_of(runs) == std::vector<std::string>{"b", "a"});
  const auto& read = runs->front();
  CHECK(read.process_id == 7);
  CHECK(read.info.agent == "codex");
  CHECK(read.info.model == "a/model");
  CHECK(read.info.status == run_status::timed_out);
  CHECK(read.info.started_at == 20);
  CHECK(read.info.ended_at == 25);
  CHECK(read.info.exit_code == 124);
  CHECK(read.info.session_id == "session");
  CHECK(read.info.steps == 3);
  CHECK(read.info.files == written.info.files);
  CHECK(read.info.output == "said");
  CHECK(read.info.error == "why");
}

TEST_CASE("of the runs in a sandbox the newest are kept, with the end of what they said", "[store]") {
  store_directory directory;
  auto opened = directory.open();
  REQUIRE(opened->insert(make_record(1)));
  for (std::size_t each = 0; each < most_kept_runs + 2; ++each) {
    auto run = run_of(1, "run " + std::to_string(each), static_cast<unix_millis>(each));
    run.info.output = "beginning" + std::string(most_kept_output - 3, 'x') + "end";
    REQUIRE(opened->put_run(run));
  }
  auto runs = opened->runs(make_record(1).info.id);
  REQUIRE(runs->size() == most_kept_runs);
  CHECK(runs->back().info.id == "run 2");
  CHECK(runs->front().info.output == std::string(most_kept_output - 3, 'x') + "end");
}

TEST_CASE("runs go with their sandbox, and do not come back after it", "[store]") {
  store_directory directory;
  auto opened = directory.open();
  for (std::uint32_t each : {1u, 2u})
    REQUIRE(opened->insert(make_record(each)));
  for (const auto& each : {run_of(1, "a", 10), run_of(2, "b", 10)})
    REQUIRE(opened->put_run(each));
  auto gone = make_record(1).info;
  REQUIRE(opened->bury({gone.id, gone.tenant, end_reason::terminated, 40, {}, 0}));
  REQUIRE(opened->put_run(run_of(1, "a", 10)));
  CHECK(opened->runs(gone.id)->empty());
  CHECK(ids_of(opened->runs(make_record(2).info.id)) == std::vector<std::string>{"b"});
}
