#include "guest/guest_fixture.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <catch2/catch.hpp>

#include <signal.h>

using namespace sandy;
using namespace sandy::tests;

namespace {

process_info begin(guest_fixture& guest, std::string text, bool open_stdin = true) {
  process_spec spec;
  spec.script = std::move(text);
  spec.open_stdin = open_stdin;
  auto started = guest.run(guest.io->start(std::move(spec)));
  REQUIRE(started);
  return *started;
}

result<guest_fixture::output> outcome(guest_fixture& guest, std::uint32_t id) {
  auto stream = guest.run(guest.io->output(id, 0, true));
  REQUIRE(stream);
  return guest.run(guest_fixture::collect(std::move(*stream)));
}

} // namespace

TEST_CASE_METHOD(guest_fixture, "standard input of any size arrives whole, piece by piece, and ends",
                 "[guest]") {
  std::string bytes(10'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<char>(i * 7);
  auto id = begin(*this, "cat > " + directory + "/taken; stat -c %s " + directory + "/taken").process_id;
  REQUIRE(run(io->write_stdin(id, bytes.substr(0, 4'000'001), false)));
  REQUIRE(run(io->write_stdin(id, bytes.substr(4'000'001), false)));
  REQUIRE(run(io->write_stdin(id, "", true)));
  CHECK(outcome(*this, id)->out == "10000000\n");
  CHECK(*get(directory + "/taken") == bytes);
}

TEST_CASE_METHOD(guest_fixture, "bytes of two writers do not mix", "[guest]") {
  auto id = begin(*this, "cat > " + directory + "/taken").process_id;
  auto write = [](guest_fixture* self, std::uint32_t to, char letter) -> io_task<bool> {
    auto written = co_await self->io->write_stdin(to, std::string(1'000'000, letter), false);
    co_return static_cast<bool>(written);
  };
  auto both = [&write](guest_fixture* self, std::uint32_t to) -> io_task<bool> {
    using boost::asio::experimental::awaitable_operators::operator&&;
    auto first = write(self, to, 'a');
    auto second = write(self, to, 'b');
    auto [one, two] = co_await (std::move(first) && std::move(second));
    co_return one&& two;
  };
  REQUIRE(run(both(this, id)));
  REQUIRE(run(io->write_stdin(id, "", true)));
  REQUIRE(outcome(*this, id));
  auto taken = *get(directory + "/taken");
  auto change = taken.find_first_not_of(taken.front());
  CHECK(change == 1'000'000);
  CHECK(taken.find_first_not_of(taken[change], change) == std::string::npos);
  CHECK(taken.size() == 2'000'000);
}

TEST_CASE_METHOD(guest_fixture,
                 "a process that does not read holds its writer back and nobody else, until it ends",
                 "[guest]") {
  auto id = begin(*this, "sleep 1000").process_id;
  auto write = [](guest_fixture* self, std::uint32_t to) -> io_task<errc> {
    auto written = co_await self->io->write_stdin(to, std::string(3'000'000, 'x'), false);
    co_return written ? errc::none : code_of(written.error());
  };
  auto interrupt = [](guest_fixture* self, std::uint32_t to) -> io_task<std::string> {
    process_spec spec;
    spec.script = "echo quick";
    auto stream = co_await self->io->exec(std::move(spec));
    if (!stream)
      co_return text_of(stream.error());
    auto done = co_await guest_fixture::collect(std::move(*stream));
    auto ended_it = co_await self->io->signal(to, SIGKILL, true);
    co_return done&& ended_it ? done->out : std::string{};
  };
  auto both = [&](guest_fixture* self, std::uint32_t to) -> io_task<std::pair<errc, std::string>> {
    using boost::asio::experimental::awaitable_operators::operator&&;
    auto writing = write(self, to);
    auto other = interrupt(self, to);
    auto [code, text] = co_await (std::move(writing) && std::move(other));
    co_return std::pair{code, text};
  };
  auto [code, text] = run(both(this, id));
  CHECK(text == "quick\n");
  CHECK(code == errc::conflict);
}

TEST_CASE_METHOD(guest_fixture, "a process without open input reads its end at once, and refuses more",
                 "[guest]") {
  auto id = begin(*this, "cat; echo end; sleep 1000", false).process_id;
  auto refused = run(io->write_stdin(id, "x", false));
  CHECK(code_of(refused.error()) == errc::conflict);
  CHECK(code_of(run(io->write_stdin(id + 1000, "x", false)).error()) == errc::process_not_found);
  while (run(io->process(id))->output_bytes == 0) {
  }
  REQUIRE(run(io->signal(id, SIGKILL, true)));
  CHECK(outcome(*this, id)->out == "end\n");
}
