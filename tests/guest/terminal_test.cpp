// Processes on terminals: what a person at a keyboard expects, and what a program can do to it.

#include "guest/guest_fixture.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <catch2/catch.hpp>

#include <thread>

#include <signal.h>

using namespace sandy;
using namespace sandy::tests;
using namespace std::chrono_literals;

namespace {

/// A terminal and somebody who reads it from the start.
class viewer {
public:
  viewer(guest_fixture& guest, process_spec spec)
      : guest_(guest) {
    if (!spec.terminal)
      spec.terminal = terminal_size{};
    auto started = guest.run(guest.io->start(std::move(spec)));
    REQUIRE(started);
    info = *started;
    auto opened = guest.run(guest.io->output(info.process_id, 0, true));
    REQUIRE(opened);
    stream_ = std::move(*opened);
  }
  viewer(guest_fixture& guest, std::string script)
      : viewer(guest, spec_of(std::move(script))) {}

  static process_spec spec_of(std::string script) {
    process_spec spec;
    spec.script = std::move(script);
    return spec;
  }

  void type(std::string bytes) {
    REQUIRE(guest_.run(guest_.io->write_stdin(info.process_id, std::move(bytes), false)));
  }
  /// Reads until this was printed. @return false when the process ended first.
  bool sees(std::string text) {
    auto read = [](viewer* self, std::string wanted) -> io_task<bool> {
      while (self->printed.find(wanted) == std::string::npos) {
        auto event = co_await self->stream_->next();
        if (!event || std::holds_alternative<process_exit>(*event))
          co_return false;
        if (auto* chunk = std::get_if<output_chunk>(&*event))
          self->printed += chunk->bytes;
      }
      co_return true;
    };
    return guest_.run(read(this, std::move(text)));
  }
  /// Reads to the end.
  process_exit end() {
    auto done = guest_.run(rest_of(this));
    REQUIRE(done);
    return *done;
  }

  process_info info;
  std::string printed;

private:
  static io_task<result<process_exit>> rest_of(viewer* self) {
    for (;;) {
      auto event = co_await self->stream_->next();
      if (!event)
        co_return std::move(event.error());
      if (auto* chunk = std::get_if<output_chunk>(&*event))
        self->printed += chunk->bytes;
      else if (auto* exit = std::get_if<process_exit>(&*event))
        co_return *exit;
    }
  }

  guest_fixture& guest_;
  std::unique_ptr<process_stream> stream_;
};

} // namespace

TEST_CASE_METHOD(guest_fixture, "a process on a terminal controls it, and finds it as large as asked for",
                 "[guest]") {
  auto spec = viewer::spec_of("test -t 0 && test -t 1 && test -t 2 && stty size && echo mine > /dev/tty");
  spec.terminal = terminal_size{132, 43};
  viewer seen{*this, spec};
  CHECK(seen.end().exit_code == 0);
  CHECK(seen.printed == "43 132\r\nmine\r\n");
  auto known = run(io->process(seen.info.process_id));
  REQUIRE(known);
  REQUIRE(known->terminal);
  CHECK(known->terminal->columns == 132);
  CHECK(known->terminal->rows == 43);
}

TEST_CASE_METHOD(guest_fixture, "what is typed is echoed and read, Ctrl-C interrupts and Ctrl-D ends",
                 "[guest]") {
  viewer copying{*this, "cat"};
  copying.type("hello\n");
  REQUIRE(copying.sees("hello\r\nhello\r\n"));
  copying.type("\x04");
  CHECK(copying.end().exit_code == 0);
  viewer sleeping{*this, "echo begun; exec sleep 1000"};
  REQUIRE(sleeping.sees("begun"));
  sleeping.type("\x03");
  CHECK(sleeping.end().signal == SIGINT);
}

TEST_CASE_METHOD(guest_fixture, "without a command there is the user's shell, for a person to use",
                 "[guest]") {
  process_spec spec;
  spec.env = {{"SHELL", "/bin/sh"}, {"PS1", "ready> "}};
  viewer shell{*this, spec};
  CHECK(shell.info.command == "/bin/sh");
  REQUIRE(shell.sees("ready> "));
  shell.type("exit 5\n");
  CHECK(shell.end().exit_code == 5);
  spec.env = {{"SHELL", "/no/such/shell"}};
  viewer other{*this, spec};
  CHECK(other.info.command == "/bin/bash");
  REQUIRE(run(io->signal(other.info.process_id, SIGHUP, false)));
  CHECK(other.end().signal == SIGHUP);
}

TEST_CASE_METHOD(guest_fixture, "a program is told that its terminal has another size", "[guest]") {
  viewer seen{*this, "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done"};
  REQUIRE(seen.sees("ready"));
  REQUIRE(run(io->resize(seen.info.process_id, {101, 33})));
  CHECK(seen.sees("33 101"));
  CHECK(seen.end().exit_code == 0);
  CHECK(run(io->process(seen.info.process_id))->terminal->columns == 101);
  CHECK(code_of(run(io->resize(seen.info.process_id, {80, 24})).error()) == errc::conflict);
}

TEST_CASE_METHOD(guest_fixture, "only a terminal has a size, and its input no end but the one that is typed",
                 "[guest]") {
  auto plain = run(io->start(viewer::spec_of("sleep 1000")));
  REQUIRE(plain);
  CHECK_FALSE(plain->terminal);
  CHECK(code_of(run(io->resize(plain->process_id, {80, 24})).error()) == errc::invalid_argument);
  CHECK(code_of(run(io->resize(plain->process_id + 1000, {80, 24})).error()) == errc::process_not_found);
  viewer seen{*this, "sleep 1000"};
  CHECK(code_of(run(io->write_stdin(seen.info.process_id, "", true)).error()) == errc::invalid_argument);
  auto all = run(io->processes());
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK_FALSE(all->at(0).terminal);
  CHECK(all->at(1).terminal);
}

TEST_CASE_METHOD(guest_fixture, "what is printed last arrives, however quick the end", "[guest]") {
  for (int round = 0; round < 50; ++round) {
    viewer seen{*this, "printf %012000d 7"};
    CHECK(seen.end().output_bytes == 12000);
    CHECK(seen.printed.size() == 12000);
  }
}

TEST_CASE_METHOD(guest_fixture, "bytes pass a terminal that leaves them alone exactly, in both directions",
                 "[guest]") {
  auto spec = viewer::spec_of("stty raw -echo; printf ready; head -c 3000000 | tee " + directory + "/taken");
  spec.ring_bytes = 8 * 1024 * 1024;
  viewer seen{*this, spec};
  REQUIRE(seen.sees("ready"));
  seen.printed.clear();
  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 7 + i / 251);
  seen.type(bytes);
  CHECK(seen.end().exit_code == 0);
  CHECK((*get(directory + "/taken") == bytes));
  CHECK((seen.printed == bytes));
}

TEST_CASE_METHOD(guest_fixture, "a flood of output stays within its bound, and a reader hears what it missed",
                 "[guest]") {
  auto spec = viewer::spec_of("stty -opost; yes | head -c 20000000");
  spec.terminal = terminal_size{};
  spec.ring_bytes = 65536;
  auto started = run(io->start(spec));
  REQUIRE(started);
  while (run(io->process(started->process_id))->status == process_status::running) {
  }
  auto stream = run(io->output(started->process_id, 0, true));
  REQUIRE(stream);
  auto read = [](process_stream& from, std::uint64_t* missed, std::uint64_t* seen) -> io_task<bool> {
    for (std::uint64_t offset = 0;;) {
      auto event = co_await from.next();
      if (!event)
        co_return false;
      if (auto* gap = std::get_if<output_gap>(&*event)) {
        *missed += gap->to - gap->from;
        offset = gap->to;
      } else if (auto* chunk = std::get_if<output_chunk>(&*event)) {
        if (chunk->offset != offset)
          co_return false;
        offset += chunk->bytes.size();
        *seen += chunk->bytes.size();
      } else {
        co_return std::get<process_exit>(*event).output_bytes == offset;
      }
    }
  };
  std::uint64_t missed = 0, seen = 0;
  CHECK(run(read(**stream, &missed, &seen)));
  CHECK(seen == 65536);
  CHECK(missed + seen == 20'000'000);
}

TEST_CASE_METHOD(guest_fixture,
                 "a huge paste into a program that does not read holds its writer back and nobody else",
                 "[guest]") {
  viewer seen{*this, "stty raw -echo; echo ready; sleep 1000"};
  REQUIRE(seen.sees("ready"));
  auto paste = [](guest_fixture* self, std::uint32_t to) -> io_task<errc> {
    auto written = co_await self->io->write_stdin(to, std::string(3'000'000, 'x'), false);
    co_return written ? errc::none : code_of(written.error());
  };
  auto meanwhile = [](guest_fixture* self, std::uint32_t to) -> io_task<bool> {
    auto resized = co_await self->io->resize(to, {90, 30});
    auto stream = co_await self->io->exec(viewer::spec_of("echo quick"));
    if (!resized || !stream)
      co_return false;
    auto done = co_await guest_fixture::collect(std::move(*stream));
    auto ended_it = co_await self->io->signal(to, SIGKILL, true);
    co_return done && done->out == "quick\n" && ended_it;
  };
  auto both = [&](guest_fixture* self, std::uint32_t to) -> io_task<std::pair<errc, bool>> {
    using boost::asio::experimental::awaitable_operators::operator&&;
    auto pasting = paste(self, to);
    auto other = meanwhile(self, to);
    auto [code, good] = co_await (std::move(pasting) && std::move(other));
    co_return std::pair{code, good};
  };
  auto [code, good] = run(both(this, seen.info.process_id));
  CHECK(good);
  CHECK(code == errc::conflict);
  CHECK(seen.end().signal == SIGKILL);
}

TEST_CASE_METHOD(guest_fixture, "a program that closes its terminal can open it again", "[guest]") {
  viewer seen{*this, "exec 0<&- 1>&- 2>&-; sleep 0.05; exec 1>/dev/tty; echo back; exit 4"};
  CHECK(seen.end().exit_code == 4);
  CHECK(seen.printed == "back\r\n");
}

TEST_CASE_METHOD(guest_fixture, "the end is told although children hold the terminal, and they live on",
                 "[guest]") {
  auto at = [this](const char* name) { return directory + "/" + name; };
  auto until = [](const std::string& path) { return "while [ ! -s " + path + " ]; do sleep 0.01; done; "; };
  viewer seen{*this, "(trap '' HUP; echo x > " + at("ready") + "; " + until(at("go")) +
                         "echo late; echo $? > " + at("proof") + ") & " + until(at("ready")) +
                         "echo now; exit 3"};
  CHECK(seen.end().exit_code == 3);
  CHECK(seen.printed == "now\r\n");
  // Its terminal is gone: writing there fails, and nothing more comes.
  REQUIRE(put(at("go"), "x"));
  CHECK(shell(until(at("proof")), 10s)->exit.exit_code == 0);
  CHECK(*get(at("proof")) == "1\n");
  CHECK(run(io->process(seen.info.process_id))->output_bytes == 5);
}

TEST_CASE_METHOD(guest_fixture, "what runs in the foreground hears of the hang-up when the shell dies",
                 "[guest]") {
  auto at = [this](const char* name) { return directory + "/" + name; };
  viewer seen{*this, "(trap 'echo told > " + at("proof") + "; exit' HUP; echo > " + at("ready") +
                         "; while :; do sleep 0.01; done) & while [ ! -s " + at("ready") +
                         " ]; do sleep 0.01; done; kill -9 $$"};
  CHECK(seen.end().signal == SIGKILL);
  CHECK(shell("while [ ! -s " + at("proof") + " ]; do sleep 0.01; done", 10s)->exit.exit_code == 0);
}

TEST_CASE_METHOD(guest_fixture, "killing the tree ends what a shell put into groups of their own",
                 "[guest]") {
  process_spec spec;
  spec.argv = {"bash", "--norc", "-i"};
  spec.env = {{"PS1", "ready> "}};
  viewer seen{*this, spec};
  REQUIRE(seen.sees("ready> "));
  seen.type("sleep 4711 & sleep 4712\n");
  while (shell("pgrep -f 'sleep 471[12]' | wc -l")->out != "2\n") {
  }
  REQUIRE(run(io->signal(seen.info.process_id, SIGKILL, true)));
  CHECK(seen.end().signal == SIGKILL);
  CHECK(gone("sleep"));
}

TEST_CASE_METHOD(guest_fixture, "a sandbox that broke its terminals is told so, and goes on without",
                 "[guest]") {
  auto instead = GENERATE(as<std::string>{}, "touch", "mkfifo");
  REQUIRE(shell(instead + " " + directory + "/false && mount --bind " + directory + "/false /dev/ptmx")
              ->exit.exit_code == 0);
  auto spec = viewer::spec_of("true");
  spec.terminal = terminal_size{};
  CHECK(code_of(run(io->start(spec)).error()) == errc::conflict);
  CHECK(shell("echo fine")->out == "fine\n");
}

TEST_CASE_METHOD(guest_fixture, "terminals that have ended leave nothing open", "[guest]") {
  auto open_now = [this] { return shell("ls /proc/1/fd 2>/dev/null | wc -l")->out; };
  auto before = open_now();
  for (int round = 0; round < 100; ++round) {
    viewer seen{*this, "true"};
    CHECK(seen.end().exit_code == 0);
  }
  // What is closed is closed soon, not at once; looking opens something, too.
  const auto patience = std::chrono::steady_clock::now() + 20s;
  auto after = open_now();
  while (after != before && std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(50ms);
    after = open_now();
  }
  CHECK(after == before);
}
