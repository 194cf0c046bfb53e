#include "tests/store/fixture.hpp"

#include <SQLiteCpp/Database.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

using namespace sandy;

namespace {

/// What the writing child does: for every number inserts, updates, and buries every third; tells each
/// finished number.
[[noreturn]] void write_forever(const std::string& path, int tell) {
  auto opened = store::open(path);
  if (!opened)
    ::_exit(2);
  for (std::uint32_t number = 0;; ++number) {
    auto record = make_record(number);
    if (!(*opened)->insert(record) || !(*opened)->update(record.info.id, sandbox_state::draining, 42, 43))
      ::_exit(3);
    if (number % 3 == 0 &&
        !(*opened)->bury({record.info.id, record.info.tenant, end_reason::expired, number}))
      ::_exit(4);
    if (::write(tell, &number, sizeof number) != sizeof number)
      ::_exit(5);
  }
}

/// Lowers the size that files may grow to; undone at the end.
class file_size_limit {
public:
  explicit file_size_limit(rlim_t bytes) {
    before_signal_ = ::signal(SIGXFSZ, SIG_IGN); // so that writes fail instead
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    rlimit lowered{bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &lowered) == 0);
  }
  file_size_limit(const file_size_limit&) = delete;
  file_size_limit& operator=(const file_size_limit&) = delete;
  ~file_size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, before_signal_);
  }

private:
  rlimit before_{};
  void (*before_signal_)(int) = SIG_DFL;
};

} // namespace

TEST_CASE("a server killed at any moment leaves every finished write, whole", "[store]") {
  for (std::uint32_t round = 0; round < 12; ++round) {
    store_directory directory;
    int told[2];
    REQUIRE(::pipe(told) == 0);
    auto child = ::fork();
    if (child == 0) {
      ::close(told[0]);
      write_forever(directory.path(), told[1]);
    }
    REQUIRE(child > 0);
    ::close(told[1]);
    std::uint32_t number = 0, last = 0;
    // Kill after a different count each time; what the pipe still holds was finished too.
    for (std::uint32_t count = 0; count <= round * 17; ++count)
      REQUIRE(::read(told[0], &last, sizeof last) == sizeof last);
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    while (::read(told[0], &number, sizeof number) == sizeof number)
      last = number;
    ::close(told[0]);

    auto store = directory.open(); // the lock died with its holder
    auto records = store->records();
    auto stones = store->tombstones();
    REQUIRE(records);
    REQUIRE(stones);
    std::vector<bool> recorded(last + 2), buried(last + 2);
    for (const auto& record : *records) {
      auto slot = record.uid_slot;
      REQUIRE(slot <= last + 1); // at most one write was under way
      recorded[slot] = true;
      auto expected = make_record(slot);
      if (slot <= last || record.info.state == sandbox_state::draining) {
        expected.info.state = sandbox_state::draining;
        expected.info.expires_at = 42;
        expected.info.ttl_seconds = 43;
      }
      check_equal(record, expected);
    }
    for (const auto& stone : *stones) {
      auto slot = static_cast<std::uint32_t>(stone.ended_at);
      REQUIRE(slot <= last + 1);
      buried[slot] = true;
    }
    for (std::uint32_t slot = 0; slot <= last; ++slot) {
      CHECK(recorded[slot] == (slot % 3 != 0));
      CHECK(buried[slot] == (slot % 3 == 0));
    }
    CHECK_FALSE((recorded[last + 1] && buried[last + 1]));
    CHECK(store->insert(make_record(1'000'000)));
  }
}

TEST_CASE("a full disk refuses writes in SQLite's words and loses nothing", "[store]") {
  store_directory directory;
  auto store = directory.open();
  std::uint32_t written = 0;
  {
    file_size_limit full(256 * 1024);
    for (;; ++written) {
      REQUIRE(written < 100'000);
      if (auto inserted = store->insert(make_record(written)); !inserted) {
        CHECK(code_of(inserted.error()) == errc::internal);
        auto text = text_of(inserted.error());
        INFO(text);
        CHECK((text.find("disk") != std::string::npos));
        break;
      }
    }
    REQUIRE(written > 0);
    auto record = make_record(0);
    // A sample is less than an insertion: until that does not fit either.
    for (unix_millis at = 0; store->add_sample({at, 0, 0, 0}); ++at)
      REQUIRE(at < 100'000);
    CHECK_FALSE(store->bury({record.info.id, record.info.tenant, end_reason::expired, 1}));
    auto records = store->records(); // reading still works, and nothing is half done
    REQUIRE(records);
    CHECK(records->size() == written);
    CHECK(store->tombstones()->empty());
  }
  CHECK(store->insert(make_record(written))); // there is room again
  store.reset();
  auto records = directory.open()->records();
  REQUIRE(records);
  REQUIRE(records->size() == written + 1);
  for (std::uint32_t i = 0; i <= written; i += 50)
    check_equal(records->at(i), make_record(i));
}

TEST_CASE("a file that is no database is refused and left alone", "[store]") {
  store_directory directory;
  const std::string text(4096, 'x');
  std::ofstream(directory.path()) << text;
  auto opened = store::open(directory.path());
  REQUIRE_FALSE(opened);
  CHECK(code_of(opened.error()) == errc::internal);
  CHECK(text_of(opened.error()).find("not a database") != std::string::npos);
  std::ifstream file(directory.path());
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == text);
}

TEST_CASE("a directory that does not exist is named", "[store]") {
  auto opened = store::open("/nonexistent/sandy.db");
  REQUIRE_FALSE(opened);
  CHECK(text_of(opened.error()).find("/nonexistent/sandy.db") != std::string::npos);
}

TEST_CASE("a damaged row is an error, not a made-up sandbox", "[store]") {
  store_directory directory;
  REQUIRE(directory.open()->insert(make_record(1)));
  const std::string damage = GENERATE("state = 9", "priority = 300", "uid_slot = -1", "env = '{'",
                                      "env = '[1]'", "expose_ports = '[70000000]'", "preemptable = -1");
  INFO(damage);
  SQLite::Database(directory.path(), SQLite::OPEN_READWRITE).exec("UPDATE sandboxes SET " + damage);
  auto records = directory.open()->records();
  REQUIRE_FALSE(records);
  CHECK(code_of(records.error()) == errc::internal);
}

TEST_CASE("text that SQLite or JSON cannot hold is refused without harm", "[store]") {
  store_directory directory;
  auto store = directory.open();
  auto broken = make_record(1);
  broken.env = {{"BROKEN", "\xff\xfe"}};
  CHECK_FALSE(store->insert(broken));
  CHECK(store->insert(make_record(1)));
  CHECK(store->records()->size() == 1);
}
