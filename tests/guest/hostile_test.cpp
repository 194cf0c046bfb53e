// The guest against clients that do not behave, and the server's end against a guest that does not.

#include "guest/guest_fixture.hpp"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>

using namespace sandy;
using namespace sandy::tests;

namespace {

runtime::unique_fd connect_to(const std::string& path) {
  runtime::unique_fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

/// Reads until the other side closes. @returns false when it does not within five seconds.
bool closes(const runtime::unique_fd& fd) {
  timeval limit{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char bytes[4096];
  for (;;) {
    auto count = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (count == 0 || (count < 0 && errno == ECONNRESET))
      return true;
    if (count < 0)
      return false;
  }
}

/// A guest that answers the first connection with fixed bytes.
struct false_guest {
  explicit false_guest(std::string path, std::string answer) {
    runtime::unique_fd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener.get(), 4) == 0);
    thread = std::thread([fd = std::move(listener), bytes = std::move(answer)] {
      runtime::unique_fd client{::accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC)};
      ::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      char ignored[4096];
      while (::recv(client.get(), ignored, sizeof ignored, 0) > 0) {
      }
    });
  }
  ~false_guest() { thread.join(); }
  std::thread thread;
};

} // namespace

TEST_CASE_METHOD(guest_fixture, "who wants a process in a group and passes none gets no process", "[guest]") {
  auto fd = connect_to(socket);
  guest::group_request request;
  request.process.directory = directory;
  request.process.argv = {"touch", directory + "/ran"};
  std::string frames;
  guest::append_frame(frames, request);
  guest::append_frame(frames, guest::frame_type::end);
  REQUIRE(::send(fd.get(), frames.data(), frames.size(), MSG_NOSIGNAL) > 0);
  char answer[4096];
  REQUIRE(::recv(fd.get(), answer, sizeof answer, 0) > 0);
  guest::raw_frame frame;
  REQUIRE(guest::find_frame({answer, sizeof answer}, sizeof answer, frame) == guest::frame_search::found);
  CHECK(frame.type == static_cast<std::uint8_t>(guest::frame_type::failed));
  CHECK(code_of(run(io->stat(directory + "/ran")).error()) == errc::file_not_found);
}

TEST_CASE_METHOD(guest_fixture, "bytes that are no frames close their connection and nothing else",
                 "[guest]") {
  std::mt19937 random{7};
  for (int round = 0; round < 300; ++round) {
    auto fd = connect_to(socket);
    std::string bytes(1 + random() % 300, '\0');
    for (auto& each : bytes)
      each = static_cast<char>(random());
    if (round % 3 == 0) // a proper header with a type of ours, and nonsense inside
      guest::put_header(bytes.data(), static_cast<std::uint32_t>(std::max<std::size_t>(bytes.size(), 5) - 5),
                        static_cast<std::uint8_t>(1 + random() % 20));
    ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::shutdown(fd.get(), SHUT_WR);
    CHECK(closes(fd));
  }
  CHECK(shell("echo fine")->out == "fine\n");
}

TEST_CASE_METHOD(guest_fixture, "a claim of a huge frame is refused at once", "[guest]") {
  auto fd = connect_to(socket);
  ::send(fd.get(), "\xff\xff\xff\x7f\x03", 5, MSG_NOSIGNAL);
  CHECK(closes(fd));
}

TEST_CASE_METHOD(guest_fixture, "many connections that say nothing leave the guest answering", "[guest]") {
  std::vector<runtime::unique_fd> silent;
  for (int i = 0; i < 200; ++i)
    silent.push_back(connect_to(socket));
  CHECK(shell("echo fine")->out == "fine\n");
}

TEST_CASE_METHOD(guest_fixture, "two hundred operations at once all end well", "[guest]") {
  auto work = [](guest_fixture* self, int i) -> io_task<void> {
    process_spec spec;
    spec.script = "echo " + std::to_string(i) + "; exit " + std::to_string(i % 100);
    auto stream = co_await self->io->exec(std::move(spec));
    REQUIRE(stream);
    auto done = co_await guest_fixture::collect(std::move(*stream));
    REQUIRE(done);
    CHECK(done->out == std::to_string(i) + "\n");
    CHECK(done->exit.exit_code == i % 100);
  };
  int finished = 0;
  for (int i = 0; i < 200; ++i)
    boost::asio::co_spawn(context, work(this, i),
                          [&](std::exception_ptr what) { finished += what == nullptr ? 1 : 0; });
  context.restart();
  context.run();
  CHECK(finished == 200);
}

TEST_CASE_METHOD(guest_fixture, "process 1 cannot be killed, traced or read from inside", "[guest]") {
  CHECK(shell("kill -9 1; kill -STOP 1; kill -TERM 1; echo survived")->out == "survived\n");
  CHECK(shell("echo fine")->out == "fine\n");
}

TEST_CASE("a guest that breaks the protocol is reported, and its user hears that the sandbox failed",
          "[guest]") {
  char name[] = "/tmp/sandy-false-XXXXXX";
  REQUIRE(::mkdtemp(name) != nullptr);
  std::string path = std::string{name} + "/socket";
  auto answer = GENERATE(std::string("\xff\xff\xff\xff\x45", 5),   // a frame larger than any
                         std::string("\x02\x00\x00\x00\x45zz", 7), // a frame cut short
                         std::string("\x04\x00\x00\x00\x43\x01\x00\x00\x00"
                                     "\x03\x00\x00\x00\x44zzz",
                                     17)); // started, then a chunk without a head
  {
    false_guest guest{path, answer};
    boost::asio::io_context context{1};
    auto state = std::make_shared<guest::end_state>();
    int violations = 0;
    state->on_violation = [&] { ++violations; };
    auto io = std::make_shared<guest::guest_io>(path, environment{}, "/", state);
    std::optional<errc> code;
    auto work = [](std::shared_ptr<guest::guest_io> link, std::optional<errc>* to) -> io_task<void> {
      process_spec spec;
      spec.script = "true";
      auto stream = co_await link->exec(std::move(spec));
      if (!stream) {
        *to = code_of(stream.error());
        co_return;
      }
      auto event = co_await (*stream)->next();
      *to = event ? errc::none : code_of(event.error());
    };
    boost::asio::co_spawn(context, work(io, &code), boost::asio::detached);
    context.run();
    CHECK(code == errc::sandbox_failed);
    CHECK(violations == 1);
  }
  ::unlink(path.c_str());
  ::rmdir(name);
}
