#include "tests/store/fixture.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

using namespace sandy;

TEST_CASE("a record comes back whole, also from a new process's view", "[store]") {
  store_directory directory;
  auto with_everything = make_record(7);
  sandbox_record bare;
  bare.info.id = {"bare"};
  {
    auto store = directory.open();
    REQUIRE(store->insert(with_everything));
    REQUIRE(store->insert(bare));
  }
  auto records = directory.open()->records();
  REQUIRE(records);
  REQUIRE(records->size() == 2);
  check_equal(records->at(0), bare); // oldest first
  check_equal(records->at(1), with_everything);
}

TEST_CASE("an id is recorded once", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto record = make_record(1);
  REQUIRE(store->insert(record));
  record.uid_slot = 99;
  auto again = store->insert(record);
  REQUIRE_FALSE(again);
  CHECK(code_of(again.error()) == errc::conflict);
}

TEST_CASE("a uid slot belongs to one sandbox until that is buried", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto first = make_record(1), second = make_record(2);
  second.uid_slot = first.uid_slot;
  REQUIRE(store->insert(first));
  auto refused = store->insert(second);
  REQUIRE_FALSE(refused);
  CHECK(code_of(refused.error()) == errc::conflict);
  REQUIRE(store->bury({first.info.id, first.info.tenant, end_reason::expired, 5}));
  CHECK(store->insert(second));
}

TEST_CASE("update changes state and lease and nothing else", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto record = make_record(1);
  REQUIRE(store->insert(record));
  REQUIRE(store->insert(make_record(2)));
  REQUIRE(store->update(record.info.id, sandbox_state::draining, 1'780'000'000'000, 4'000'000'000u));
  record.info.state = sandbox_state::draining;
  record.info.expires_at = 1'780'000'000'000;
  record.info.ttl_seconds = 4'000'000'000u;
  auto records = store->records();
  REQUIRE(records);
  check_equal(records->at(0), record);
  check_equal(records->at(1), make_record(2));
}

TEST_CASE("that a sandbox is paused is recorded, and nothing else changes", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto record = make_record(1);
  REQUIRE(store->insert(record));
  REQUIRE(store->insert(make_record(2)));
  REQUIRE(store->set_paused(record.info.id, pause_cause::caller));
  record.info.paused = pause_cause::caller;
  auto records = store->records();
  REQUIRE(records);
  check_equal(records->at(0), record);
  check_equal(records->at(1), make_record(2));
  CHECK(code_of(store->set_paused({"nobody"}, pause_cause::none).error()) == errc::sandbox_not_found);
}

TEST_CASE("updating what is not recorded fails with sandbox_not_found", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto updated = store->update({"nobody"}, sandbox_state::ready, 1, 1);
  REQUIRE_FALSE(updated);
  CHECK(code_of(updated.error()) == errc::sandbox_not_found);
}

TEST_CASE("burying replaces the record by a tombstone, and the first reason stays", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto record = make_record(1);
  REQUIRE(store->insert(record));
  REQUIRE(store->bury({record.info.id, record.info.tenant, end_reason::expired, 100}));
  REQUIRE(store->bury({record.info.id, record.info.tenant, end_reason::terminated, 200}));
  CHECK(store->records()->empty());
  auto stones = store->tombstones();
  REQUIRE(stones);
  REQUIRE(stones->size() == 1);
  CHECK(stones->front().id == record.info.id);
  CHECK(stones->front().tenant == record.info.tenant);
  CHECK(stones->front().reason == end_reason::expired);
  CHECK(stones->front().ended_at == 100);
}

TEST_CASE("old tombstones are forgotten", "[store]") {
  store_directory directory;
  auto store = directory.open();
  for (unix_millis at : {100, 200, 300})
    REQUIRE(store->bury({{"id" + std::to_string(at)}, {"t"}, end_reason::terminated, at}));
  REQUIRE(store->forget_tombstones(200));
  auto stones = store->tombstones();
  REQUIRE(stones->size() == 2);
  CHECK(stones->at(0).ended_at == 200);
  CHECK(stones->at(1).ended_at == 300);
}

TEST_CASE("samples are kept in order for 48 hours", "[store]") {
  store_directory directory;
  auto store = directory.open();
  const unix_millis now = 1'770'000'000'000, hour = 3600'000;
  REQUIRE(store->add_sample({now - 49 * hour, 0.1, 0.2, 0.3}));
  REQUIRE(store->add_sample({now - 48 * hour, 0.2, 0.3, 0.4}));
  REQUIRE(store->add_sample({now, 0.5, 0.625, 0.75}));
  REQUIRE(store->add_sample({now - hour, 0.25, 0.5, 1.0}));
  auto all = store->samples(0);
  REQUIRE(all);
  REQUIRE(all->size() == 3);
  CHECK(all->at(0).timestamp == now - 48 * hour);
  CHECK(all->at(2).timestamp == now);
  CHECK(all->at(2).memory_ratio == 0.625);
  auto recent = store->samples(now - hour);
  REQUIRE(recent->size() == 2);
  CHECK(recent->at(0).disk_ratio == 1.0);
}

TEST_CASE("only the owner can read the database and its log", "[store]") {
  store_directory directory;
  auto mask = ::umask(0); // the worst case
  auto store = directory.open();
  auto inserted = store->insert(make_record(1));
  ::umask(mask);
  REQUIRE(inserted);
  for (auto suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat status{};
    INFO("sandy.db" << suffix);
    REQUIRE(::stat((directory.path() + suffix).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
}

TEST_CASE("the secrets of a sandbox that is gone are in no file, while the store is open", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto record = make_record(1), other = make_record(2);
  const std::string value = "sk-a-value-that-is-nowhere-else";
  record.secrets.all.front().given.value.bytes = value;
  auto found = [&] {
    std::string text;
    for (auto suffix : {"", "-wal", "-shm"}) {
      std::ifstream file{directory.path() + suffix, std::ios::binary};
      text.append(std::istreambuf_iterator<char>{file}, {});
    }
    return text.find(value) != std::string::npos;
  };
  REQUIRE(store->insert(record));
  REQUIRE(store->insert(other));
  REQUIRE(store->set_network(record.info.id, {}, {})); // its row is written once more
  CHECK(found());
  SECTION("nobody looks at them") {
    REQUIRE(store->bury({record.info.id, {"t"}, end_reason::terminated, 1}));
    CHECK_FALSE(found());
  }
  SECTION("somebody reads the database meanwhile") {
    SQLite::Database reader{directory.path(), SQLite::OPEN_READONLY};
    reader.exec("BEGIN");
    SQLite::Statement all{reader, "SELECT id FROM sandboxes"};
    REQUIRE(all.executeStep());
    REQUIRE(store->bury({record.info.id, {"t"}, end_reason::terminated, 1}));
    all.reset();
    reader.exec("COMMIT");
    // With the next one that ends.
    REQUIRE(store->bury({other.info.id, {"t"}, end_reason::terminated, 2}));
    CHECK_FALSE(found());
  }
  CHECK(store->insert(make_record(3)));
}

TEST_CASE("a database that others could read becomes private when it is opened", "[store]") {
  store_directory directory;
  directory.open();
  REQUIRE(::chmod(directory.path().c_str(), 0644) == 0);
  directory.open();
  struct stat status{};
  REQUIRE(::stat(directory.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a second server is refused until the first is gone", "[store]") {
  store_directory directory;
  auto first = directory.open();
  auto second = store::open(directory.path());
  REQUIRE_FALSE(second);
  CHECK(code_of(second.error()) == errc::conflict);
  CHECK(text_of(second.error()).find("is in use by another server") != std::string::npos);
  CHECK(first->insert(make_record(1)));
  first.reset();
  CHECK(directory.open()->records()->size() == 1);
}

TEST_CASE("a program the server started does not keep its lock", "[store]") {
  store_directory directory;
  auto first = directory.open();
  int alive[2];
  REQUIRE(::pipe(alive) == 0);
  auto child = ::fork();
  if (child == 0) {
    ::dup2(alive[0], 0); // ends when the test closes its side
    ::close(alive[1]);
    ::execlp("cat", "cat", nullptr);
    ::_exit(127);
  }
  REQUIRE(child > 0);
  ::close(alive[0]);
  // The child drops the lock when it executes its program; until then it is a copy of the server.
  auto executed = [child] {
    auto exe = std::filesystem::read_symlink("/proc/" + std::to_string(child) + "/exe");
    return exe != std::filesystem::read_symlink("/proc/self/exe");
  };
  while (!executed())
    ::usleep(1000);
  first.reset();
  CHECK(store::open(directory.path()));
  ::close(alive[1]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
}
