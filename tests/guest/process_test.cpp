#include "guest/guest_fixture.hpp"
#include "runtime/guest/ping.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numeric>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

using stream_ptr = std::unique_ptr<process_stream>;

template <class T>
io_task<result<T>> next_of(process_stream& stream) {
  auto event = co_await stream.next();
  if (!event)
    co_return std::move(event.error());
  if (auto* wanted = std::get_if<T>(&*event))
    co_return std::move(*wanted);
  co_return fail(errc::internal, "another event came");
}

process_spec script(std::string text) {
  process_spec spec;
  spec.script = std::move(text);
  return spec;
}

} // namespace

TEST_CASE_METHOD(guest_fixture, "a command's output and exit come exactly", "[guest]") {
  auto done = shell("printf 'a\\0b'; printf err >&2; exit 3");
  REQUIRE(done);
  CHECK(done->out == std::string("a\0b", 3));
  CHECK(done->err == "err");
  CHECK(done->exit.exit_code == 3);
  CHECK(done->exit.output_bytes == 6);
}

TEST_CASE_METHOD(guest_fixture, "a signal is told as 128 and its number, also when the shell kills itself",
                 "[guest]") {
  CHECK(shell("kill -TERM $$")->exit.exit_code == 143);
  CHECK(shell("kill -KILL $$")->exit.signal == SIGKILL);
  CHECK(shell("pkill -f marker-of-this-very-command || true")->exit.exit_code == 143);
}

TEST_CASE_METHOD(guest_fixture,
                 "the environment is the basic one, the sandbox's, the request's, in this order", "[guest]") {
  process_spec spec = script("echo $HOME $SANDBOX $MORE $LANG; pwd; cat; echo ok");
  spec.env = {{"MORE", "x y"}, {"HOME", "/elsewhere"}};
  auto stream = run(io->exec(spec));
  REQUIRE(stream);
  auto done = run(collect(std::move(*stream)));
  CHECK(done->out == "/elsewhere own x y C.UTF-8\n" + directory + "\nok\n"); // and standard input is empty
}

TEST_CASE_METHOD(
    guest_fixture,
    "exit is told when the process exits although a child holds its pipes, and the child lives on",
    "[guest]") {
  auto begun = std::chrono::steady_clock::now();
  auto done = shell("(sleep 30; echo late) & echo $! > " + directory + "/child; echo now");
  REQUIRE(done);
  CHECK(done->out == "now\n");
  CHECK(std::chrono::steady_clock::now() - begun < 10s);
  CHECK(shell("kill -0 $(cat " + directory + "/child)")->exit.exit_code == 0);
  // It writes to a pipe whose reader was answered long ago, and does not die of it.
  CHECK(shell("(sleep 0.05; head -c 1000000 /dev/zero; echo survived > " + directory + "/proof) & true")
            ->exit.exit_code == 0);
  CHECK(shell("while [ ! -s " + directory + "/proof ]; do sleep 0.01; done", 10s)->exit.exit_code == 0);
}

TEST_CASE_METHOD(guest_fixture, "a timeout kills the whole tree and says so", "[guest]") {
  auto done = shell("setsid sleep 77 & (sleep 78 & wait) & echo begun; sleep 79", 300ms);
  REQUIRE(done);
  CHECK(done->out == "begun\n");
  CHECK(done->exit.timed_out);
  CHECK(done->exit.exit_code == 124);
  CHECK(gone("sleep"));
}

TEST_CASE_METHOD(guest_fixture, "orphans are reaped and nobody's status is stolen", "[guest]") {
  auto done = shell("for i in $(seq 100); do (true & ) ; done; (exit 7); echo $?; for i in $(seq 20); do "
                    "sleep 0 & done; wait");
  CHECK(done->out == "7\n");
  CHECK(gone("Z "));
}

TEST_CASE_METHOD(guest_fixture, "large binary output arrives whole from both streams", "[guest]") {
  auto done = shell("head -c 33554432 /dev/urandom > " + directory + "/r; cat " + directory + "/r & cat " +
                    directory + "/r >&2; wait");
  REQUIRE(done);
  CHECK(done->out.size() == 33554432);
  CHECK(done->out == done->err);
}

TEST_CASE_METHOD(guest_fixture, "a script longer than any argument runs", "[guest]") {
  std::string text = "x='" + std::string(3'000'000, 'q') + "'; echo ${#x}";
  CHECK(shell(text)->out == "3000000\n");
}

TEST_CASE_METHOD(guest_fixture, "a command that cannot start says why", "[guest]") {
  auto start = [&](process_spec spec) { return code_of(run(io->exec(std::move(spec))).error()); };
  auto spec = script("true");
  spec.cwd = directory + "/missing";
  CHECK(start(spec) == errc::invalid_argument);
  REQUIRE(put(directory + "/file", "x"));
  spec.cwd = directory + "/file";
  CHECK(start(spec) == errc::invalid_argument);
  process_spec program;
  program.argv = {"no-such-program"};
  CHECK(start(program) == errc::invalid_argument);
  auto nul = script("true");
  nul.env = {{"A", std::string("x\0y", 3)}};
  CHECK(start(nul) == errc::invalid_argument);
}

TEST_CASE_METHOD(guest_fixture, "a slow reader slows its own process and nobody else", "[guest]") {
  auto stream = run(io->exec(script("yes | head -c 50000000 | tee >(wc -c >&2) >/dev/stdout")));
  REQUIRE(stream);
  CHECK(shell("echo quick")->out == "quick\n"); // while nobody reads the other
  auto all = run(collect(std::move(*stream)));
  REQUIRE(all);
  CHECK(all->out.size() == 50'000'000);
}

TEST_CASE_METHOD(guest_fixture, "a command whose reader goes away runs on, unless it is to be killed",
                 "[guest]") {
  auto kill = GENERATE(false, true);
  auto spec = script("echo $$ > " + directory +
                     "/pid; echo begun; sleep 0.3; echo more; sleep 0.2; echo end > " + directory + "/proof");
  spec.kill_on_disconnect = kill;
  {
    auto stream = run(io->exec(spec));
    REQUIRE(stream);
    REQUIRE(run(next_of<output_chunk>(**stream)));
  }
  shell("while kill -0 $(cat " + directory + "/pid) 2>/dev/null; do sleep 0.01; done", 10s);
  CHECK(run(io->stat(directory + "/proof")).operator bool() == !kill);
}

TEST_CASE_METHOD(guest_fixture, "background output is kept, resumes anywhere, and follows to the exit",
                 "[guest]") {
  auto spec = script("echo one; echo two >&2; read line; echo got $line; exit 5");
  spec.open_stdin = true;
  auto started = run(io->start(spec));
  REQUIRE(started);
  auto id = started->process_id;
  auto stream = run(io->output(id, 0, true));
  REQUIRE(stream);
  std::string seen;
  while (seen.size() < 8)
    seen += run(next_of<output_chunk>(**stream))->bytes;
  CHECK(seen.find("one\n") != std::string::npos);
  REQUIRE(run(io->write_stdin(id, "hello\n", true)));
  CHECK(run(next_of<output_chunk>(**stream))->bytes == "got hello\n");
  auto exit = run(next_of<process_exit>(**stream));
  CHECK(exit->exit_code == 5);

  auto again = run(io->output(id, 8, true));
  auto rest = run(next_of<output_chunk>(**again));
  CHECK(rest->offset == 8);
  CHECK(rest->bytes == "got hello\n");
  CHECK(run(next_of<process_exit>(**again))->exit_code == 5);
  auto listed = run(io->processes());
  REQUIRE(listed->size() == 1);
  CHECK(listed->front().status == process_status::exited);
  CHECK(run(io->process(id))->output_bytes == 18);
  CHECK(code_of(run(io->process(id + 1000)).error()) == errc::process_not_found);
  CHECK(code_of(run(io->write_stdin(id, "x", false)).error()) == errc::conflict);
}

TEST_CASE_METHOD(guest_fixture, "a stream that does not follow ends where the output ends", "[guest]") {
  auto spec = script("echo one; sleep 30");
  auto started = run(io->start(spec));
  std::uint64_t kept = 0;
  while (kept == 0)
    kept = run(io->process(started->process_id))->output_bytes;
  auto stream = run(io->output(started->process_id, 0, false));
  CHECK(run(next_of<output_chunk>(**stream))->bytes == "one\n");
  CHECK(run(next_of<still_running>(**stream)));
}

TEST_CASE_METHOD(guest_fixture, "output that the ring lost is announced as a gap", "[guest]") {
  auto spec = script("head -c 1000000 /dev/zero; echo end");
  spec.ring_bytes = 65536;
  auto started = run(io->start(spec));
  auto exited = [&] { return run(io->process(started->process_id))->status == process_status::exited; };
  while (!exited()) {
  }
  auto stream = run(io->output(started->process_id, 10, true));
  auto lost = run(next_of<output_gap>(**stream));
  REQUIRE(lost);
  CHECK(lost->from == 10);
  auto next = lost->to;
  std::string tail;
  for (;;) {
    auto event = run((*stream)->next());
    REQUIRE(event);
    if (std::holds_alternative<process_exit>(*event))
      break;
    auto& chunk = std::get<output_chunk>(*event);
    CHECK(chunk.offset == next);
    next += chunk.bytes.size();
    tail += chunk.bytes;
  }
  CHECK(next == 1'000'004);
  CHECK(tail.size() <= 65536);
  CHECK(tail.substr(tail.size() - 4) == "end\n");
}

TEST_CASE_METHOD(guest_fixture, "a background process is signalled, alone or with its tree", "[guest]") {
  auto started = run(io->start(script("trap 'echo caught; exit 9' TERM; while true; do sleep 0.01; done")));
  auto id = started->process_id;
  REQUIRE(run(io->signal(id, SIGTERM, false)));
  auto stream = run(io->output(id, 0, true));
  auto all = run(collect(std::move(*stream)));
  CHECK((all->exit.exit_code == 9 || all->exit.signal == SIGTERM)); // before or after the trap was set

  started = run(io->start(script("setsid sleep 66 & sleep 67")));
  REQUIRE(run(io->signal(started->process_id, SIGKILL, true)));
  stream = run(io->output(started->process_id, 0, true));
  CHECK(run(collect(std::move(*stream)))->exit.signal == SIGKILL);
  CHECK(gone("sleep"));
}

TEST_CASE_METHOD(guest_fixture, "what a process left running is killed after its end, with what that started",
                 "[guest]") {
  auto started = run(io->start(script("(sleep 66 & wait) & exit 0")));
  auto id = started->process_id;
  auto stream = run(io->output(id, 0, true));
  CHECK(run(collect(std::move(*stream)))->exit.exit_code == 0);
  while (shell("pgrep sleep | wc -l")->out != "1\n") {
  }
  CHECK(code_of(run(io->signal(id, SIGKILL, false)).error()) == errc::conflict);
  CHECK(code_of(run(io->signal(id, SIGTERM, true)).error()) == errc::conflict);
  CHECK(run(io->signal(id, SIGKILL, true)));
  CHECK(gone("sleep"));
  while (run(io->signal(id, SIGKILL, true))) { // until the last of them was waited for
  }
  CHECK(code_of(run(io->signal(id, SIGKILL, true)).error()) == errc::conflict);
  CHECK(shell("echo fine")->out == "fine\n");
}

TEST_CASE("a guest that hears from no server ends itself and everything in it", "[guest]") {
  guest_fixture guest{"150"};
  guest.run(guest.io->start(script("sleep 1000")));
  CHECK(guest.ends());
}

TEST_CASE("a renewed lease keeps a guest alive", "[guest]") {
  guest_fixture guest{"1500"};
  REQUIRE(guest.run(guest::renew_lease(guest.socket, 1h)));
  CHECK(guest.shell("sleep 1.8; echo alive")->out == "alive\n");
}

TEST_CASE("a guest that was frozen past its lease hears the renewal of who thaws it", "[guest]") {
  guest_fixture guest;
  REQUIRE(guest.run(guest::renew_lease(guest.socket, 2s)));
  guest.freeze();
  CHECK_FALSE(guest.ends(2100ms)); // its lease is over
  auto renews = GENERATE(true, false);
  if (renews) {
    auto link = guest.run(guest::connection::open(guest.socket, guest.ended));
    std::string renewal;
    append_frame(renewal, guest::lease_request{3'600'000});
    REQUIRE(guest.run((*link)->send(renewal)));
    guest.thaw();
    CHECK(guest.run((*link)->expect(guest::frame_type::done)));
    CHECK(guest.shell("echo alive")->out == "alive\n");
  } else {
    guest.thaw();
    CHECK(guest.ends());
  }
}

TEST_CASE_METHOD(guest_fixture, "a guest knows since when its processes are quiet", "[guest]") {
  auto quiet = [this] { return guest::quiet_time_blocking(socket, 10s).value(); };
  REQUIRE(run(io->start(script("sleep 1000"))));
  while (quiet() < 30ms) { // a silent process breaks no quiet
  }
  SECTION("a command that runs is no quiet") {
    auto stream = run(io->exec(script("echo up; sleep 1000")));
    REQUIRE(run((*stream)->next()));
    CHECK(quiet() == 0ms);
  }
  SECTION("a background process breaks it with what it writes") {
    auto begun = std::chrono::steady_clock::now();
    auto loud = run(io->start(script("echo word; sleep 1000")));
    auto stream = run(io->output(loud->process_id, 0, true));
    REQUIRE(run((*stream)->next()));
    CHECK(quiet() <= std::chrono::steady_clock::now() - begun);
  }
  SECTION("one that nobody heeds does not") {
    auto before = quiet();
    auto spec = script("echo word; exit 3");
    spec.unheeded = true;
    auto loud = run(io->start(std::move(spec)));
    auto stream = run(io->output(loud->process_id, 0, true));
    for (auto event = run((*stream)->next()); !std::holds_alternative<process_exit>(*event);
         event = run((*stream)->next()))
      REQUIRE(event);
    CHECK(quiet() >= before);
  }
}

TEST_CASE_METHOD(guest_fixture, "who sees the connection break hears why the sandbox ended", "[guest]") {
  auto stream = run(io->exec(script("sleep 100")));
  REQUIRE(stream);
  ended->reason = end_reason::expired;
  shell("true");
  REQUIRE(run(guest::renew_lease(socket, 1ms)));
  REQUIRE(ends());
  auto broken = run((*stream)->next());
  CHECK(code_of(broken.error()) == errc::sandbox_ended);
  CHECK(text_of(broken.error()) == "sandbox expired");
  CHECK(code_of(shell("true").error()) == errc::sandbox_ended);
}

TEST_CASE_METHOD(guest_fixture, "a process joins its group before it runs, and keeps no hold of it",
                 "[guest]") {
  auto group = std::make_shared<const runtime::unique_fd>(::memfd_create("group", MFD_CLOEXEC));
  auto spec = script("ls -l /proc/self/fd");
  spec.group = group;
  auto large = GENERATE(false, true);
  if (large) // in many frames; the descriptor comes with the first
    spec.script += " #" + std::string(10'000'000, '.');
  auto started = run(io->start(spec));
  REQUIRE(started);
  auto output = run(io->output(started->process_id, 0, true));
  REQUIRE(output);
  auto done = run(collect(std::move(*output)));
  REQUIRE(done);
  CHECK(done->exit.exit_code == 0);
  CHECK(done->out.find("group") == std::string::npos);
  char written[8] = {};
  CHECK(::pread(group->get(), written, sizeof written, 0) == 1);
  CHECK(written[0] == '0');
}

TEST_CASE_METHOD(guest_fixture, "a process that cannot join its group does not run", "[guest]") {
  process_spec spec = script("touch " + directory + "/ran");
  spec.group = std::make_shared<const runtime::unique_fd>(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK_FALSE(run(io->start(spec)));
  CHECK(code_of(run(io->stat(directory + "/ran")).error()) == errc::file_not_found);
  CHECK(shell("true")->exit.exit_code == 0);
}
