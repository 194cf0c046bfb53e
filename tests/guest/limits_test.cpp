// What a command finds when it starts, and what the guest keeps within bounds.

#include "guest/guest_fixture.hpp"

#include <catch2/catch.hpp>

#include <signal.h>

#include <algorithm>
#include <sstream>

using namespace sandy;
using namespace sandy::tests;

namespace {

process_spec script(std::string text) {
  process_spec spec;
  spec.script = std::move(text);
  return spec;
}

} // namespace

TEST_CASE_METHOD(guest_fixture, "a command starts with nothing of the guest's", "[guest]") {
  CHECK(shell("ls /proc/$$/fd; true")->out == "0\n1\n2\n");
  // The shell keeps a long script open for itself, out of the way of its commands.
  auto long_script = "#" + std::string(200'000, '-') + "\nls /proc/$$/fd; ls /proc/self/fd; true";
  CHECK(shell(long_script)->out == "0\n1\n2\n255\n0\n1\n2\n3\n"); // 3: the directory that ls itself reads
  // And the guest has nothing of whoever started it: null, its listener, signals, epoll, and this command's
  // own.
  CHECK(shell("readlink /proc/1/fd/* | grep -cv -e /dev/null -e socket: -e anon_inode: -e pipe:")->out ==
        "0\n");
  auto status = shell("grep -E 'SigBlk|SigIgn|SigCgt|NoNewPrivs' /proc/self/status")->out;
  CHECK(status.find("SigBlk:\t0000000000000000") != std::string::npos);
  CHECK(status.find("SigIgn:\t0000000000000000") != std::string::npos);
  CHECK(status.find("NoNewPrivs:\t1") != std::string::npos);
  auto session = shell("[ $(ps -o sid= -p $$) = $$ ] && [ $(ps -o pgid= -p $$) = $$ ] && echo own");
  CHECK(session->out == "own\n");
}

TEST_CASE_METHOD(guest_fixture, "commands are chosen before the guest when memory runs out", "[guest]") {
  auto scores = shell("cat /proc/self/oom_score_adj /proc/1/oom_score_adj");
  std::istringstream in{scores->out};
  int own = 0, guests = 0;
  in >> own >> guests;
  CHECK(own == std::min(guests + 500, 1000));
}

TEST_CASE_METHOD(guest_fixture, "an argument vector is found by the command's own PATH and passed as it is",
                 "[guest]") {
  REQUIRE(put(directory + "/bin/tool", "#!/bin/sh\nprintf '%s|' \"$@\""));
  REQUIRE(shell("chmod 755 " + directory + "/bin/tool")->exit.exit_code == 0);
  process_spec spec;
  spec.argv = {"tool", "two words", "", "$HOME"};
  spec.env = {{"PATH", directory + "/bin:/bin"}};
  auto stream = run(io->exec(spec));
  REQUIRE(stream);
  CHECK(run(collect(std::move(*stream)))->out == "two words||$HOME|");
  spec.argv = {directory + "/.socket"};
  CHECK(code_of(run(io->exec(spec)).error()) == errc::permission_denied);
  spec.argv = {"tool", std::string(200'000, 'x')};
  CHECK(code_of(run(io->exec(spec)).error()) == errc::invalid_argument);
  spec.argv = {"tool", std::string(2'000'000, 'x')};
  CHECK(code_of(run(io->exec(spec)).error()) == errc::invalid_argument);
}

TEST_CASE_METHOD(guest_fixture,
                 "sixty-four background processes run at once, and the oldest ended ones are forgotten",
                 "[guest]") {
  std::vector<std::uint32_t> ids;
  for (int i = 0; i < 64; ++i) {
    auto started = run(io->start(script("sleep 1000")));
    REQUIRE(started);
    ids.push_back(started->process_id);
  }
  CHECK(code_of(run(io->start(script("true"))).error()) == errc::limit_reached);
  CHECK(shell("echo fine")->out == "fine\n"); // only the background is full
  for (auto id : ids)
    REQUIRE(run(io->signal(id, SIGKILL, true)));
  auto ended_all = [&] {
    auto all = run(io->processes());
    return std::all_of(all->begin(), all->end(),
                       [](const auto& one) { return one.status == process_status::exited; });
  };
  while (!ended_all()) {
  }
  for (int i = 0; i < 100; ++i) {
    auto started = run(io->start(script("true")));
    REQUIRE(started);
    CHECK(started->process_id > ids.back());
    auto stream = run(io->output(started->process_id, 0, true));
    REQUIRE(run(collect(std::move(*stream))));
  }
  CHECK(run(io->processes())->size() <= 128);
  CHECK(code_of(run(io->process(ids.front())).error()) == errc::process_not_found);
}

TEST_CASE_METHOD(guest_fixture, "rings are bounded, one by one and together", "[guest]") {
  auto spec = script("sleep 1000");
  spec.ring_bytes = 1ull << 40; // bounded to the most there is
  int begun = 0;
  for (;; ++begun) {
    auto started = run(io->start(spec));
    if (!started) {
      CHECK(code_of(started.error()) == errc::limit_reached);
      break;
    }
  }
  CHECK(begun == 4);
}

TEST_CASE_METHOD(guest_fixture, "the guest is small again after large work", "[guest]") {
  REQUIRE(shell("head -c 50000000 /dev/zero")->out.size() == 50'000'000);
  REQUIRE(put(directory + "/big", std::string(20'000'000, 'x')));
  REQUIRE(shell(std::string(5'000'000, ' ') + "true"));
  auto rest = shell("awk '/^Private_Dirty/ {print $2}' /proc/1/smaps_rollup");
  CHECK(std::stoi(rest->out) > 0);
  CHECK(std::stoi(rest->out) < 300); // KiB
}

TEST_CASE_METHOD(guest_fixture, "twenty readers of large output and a writer at once get what is theirs",
                 "[guest]") {
  auto read = [](guest_fixture* self, int i, int* good) -> io_task<void> {
    process_spec spec;
    spec.script = "yes " + std::to_string(i) + " | head -c 3000000";
    auto stream = co_await self->io->exec(std::move(spec));
    if (!stream)
      co_return;
    auto all = co_await guest_fixture::collect(std::move(*stream));
    auto line = std::to_string(i) + "\n";
    bool right = all && all->out.size() == 3'000'000;
    for (std::size_t at = 0; right && at < 3'000'000; at += line.size())
      right = all->out.compare(at, line.size(), line, 0, std::min(line.size(), 3'000'000 - at)) == 0;
    *good += right;
  };
  int good = 0;
  for (int i = 0; i < 20; ++i)
    boost::asio::co_spawn(context, read(this, i, &good), boost::asio::detached);
  REQUIRE(put(directory + "/file", std::string(1'000'000, 'w'))); // runs all of them
  CHECK(good == 20);
  CHECK(get(directory + "/file")->size() == 1'000'000);
}
