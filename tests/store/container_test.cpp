#include "store/schema.hpp"
#include "tests/store/fixture.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <caf/deep_to_string.hpp>

#include <fstream>
#include <iterator>

using namespace sandy;

namespace {

container_record container_of(std::uint32_t sandbox, unix_millis at) {
  container_record record;
  auto& info = record.info;
  info.id = make_container_id();
  info.sandbox = make_record(sandbox).info.id;
  info.image = "img";
  info.name = "name";
  info.port = 65'535;
  info.status = container_status::restarting;
  info.timeout_seconds = 60;
  info.restart = restart_policy::always;
  info.restarts = 2;
  info.created_at = at;
  info.started_at = at + 1;
  info.ended_at = at + 2;
  info.exit_code = -3;
  info.process_id = 7;
  info.error = "why";
  info.workload = true;
  record.program = {{"/serve", "a \"b\""}, "app:video", {{"KEY", "secret"}, {"EMPTY", ""}}, 4, "sk"};
  return record;
}

} // namespace

TEST_CASE("containers survive the store, the oldest first, and are replaced by their id", "[store]") {
  store_directory directory;
  auto first = container_of(1, 10), second = container_of(1, 20);
  {
    auto opened = directory.open();
    REQUIRE(opened->insert(make_record(1)));
    for (const auto& each : {second, first, container_of(2, 5)}) // nothing of a sandbox that is not there
      REQUIRE(opened->put_container(each));
    second.info.status = container_status::exited;
    REQUIRE(opened->put_container(second));
  }
  auto opened = directory.open();
  auto all = opened->containers(first.info.sandbox);
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  const auto& read = all->front();
  CHECK(caf::deep_to_string(read.info) == caf::deep_to_string(first.info));
  CHECK(read.program.arguments == first.program.arguments);
  CHECK(read.program.user == first.program.user);
  CHECK(read.program.env == first.program.env);
  CHECK(read.program.max_restarts == 4);
  CHECK(read.program.platform_key == "sk");
  CHECK(all->back().info.status == container_status::exited);
  CHECK(opened->containers(container_of(2, 5).info.sandbox)->empty());

  REQUIRE(opened->remove_container(first.info.id));
  REQUIRE(opened->remove_container(first.info.id));
  CHECK(opened->containers(first.info.sandbox)->size() == 1);
  REQUIRE(opened->bury({first.info.sandbox, {"alice"}, end_reason::terminated, 1, {}, 0}));
  CHECK(opened->containers(first.info.sandbox)->empty());
}

TEST_CASE("containers of an earlier schema are none that their sandbox was made for", "[store]") {
  store_directory directory;
  const auto record = container_of(1, 10);
  {
    SQLite::Database older(directory.path(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    constexpr std::size_t before_workloads = 12;
    migrate(older, schema_steps().first(before_workloads));
    SQLite::Statement row(
        older, "INSERT INTO containers VALUES (?, ?, 'img', 'n', 1, 1, 60, 1, 0, 1, 1, 0, 0, 7, '', ?)");
    row.bind(1, record.info.id.value);
    row.bind(2, record.info.sandbox.value);
    row.bind(3, R"({"arguments": ["a"], "env": [], "user": "", "max_restarts": 5})");
    row.exec();
  }
  auto opened = directory.open();
  auto all = opened->containers(record.info.sandbox);
  REQUIRE(all);
  REQUIRE(all->size() == 1);
  CHECK(all->front().info.process_id == 7);
  CHECK_FALSE(all->front().info.workload);
}

TEST_CASE("what a container was given is nowhere in the store when it is gone", "[store]") {
  store_directory directory;
  auto record = container_of(1, 10);
  record.program.env = {{"KEY", "a-very-secret-key"}};
  auto opened = directory.open();
  REQUIRE(opened->insert(make_record(1)));
  REQUIRE(opened->put_container(record));
  REQUIRE(opened->remove_container(record.info.id));
  for (const auto* suffix : {"", "-wal"}) {
    std::ifstream file{directory.path() + suffix, std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{file}, {}};
    CHECK(bytes.find("a-very-secret-key") == std::string::npos);
  }
}

TEST_CASE("a container whose environment is no text is refused", "[store]") {
  store_directory directory;
  auto record = container_of(1, 10);
  record.program.env = {{"KEY", "\xff"}};
  auto opened = directory.open();
  REQUIRE(opened->insert(make_record(1)));
  CHECK_FALSE(opened->put_container(record));
  CHECK(opened->containers(record.info.sandbox)->empty());
}
