#include "guest/guest_fixture.hpp"

#include "runtime/guest/ping.hpp"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace sandy::tests {

namespace {

void must(bool good, const char* what) {
  if (!good)
    throw std::runtime_error(std::string{what} + ": " + std::strerror(errno));
}

} // namespace

guest_fixture::guest_fixture(std::string lease_ms) {
  char name[] = "/tmp/sandy-guest-XXXXXX";
  must(::mkdtemp(name) != nullptr, "mkdtemp");
  directory = name;
  socket = directory + "/.socket";
  runtime::unique_fd listener{::socket(AF_UNIX, SOCK_STREAM, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  must(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  must(::listen(listener.get(), 64) == 0, "listen");
  pid_ = static_cast<pid_t>(
      ::syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  must(pid_ >= 0, "clone (these tests need root)");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that is killed leaves nothing behind
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    ::mount("proc", "/proc", "proc", 0, nullptr);
    ::dup2(listener.get(), 3);
    ::execl(SANDY_GUEST, "sandy-guest", "--lease-ms", lease_ms.c_str(), nullptr);
    ::_exit(127);
  }
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  must(static_cast<bool>(guest::ping_blocking(socket, std::chrono::seconds{10})),
       "the guest does not answer");
  io = std::make_shared<guest::guest_io>(socket, environment{{"SANDBOX", "own"}}, directory, ended);
}

guest_fixture::~guest_fixture() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
}

io_task<result<guest_fixture::output>> guest_fixture::collect(std::unique_ptr<process_stream> stream) {
  output all;
  std::uint64_t offset = 0;
  for (;;) {
    auto event = co_await stream->next();
    if (!event)
      co_return std::move(event.error());
    if (auto* chunk = std::get_if<output_chunk>(&*event)) {
      if (chunk->offset != offset)
        co_return fail(errc::internal, "an offset is wrong");
      offset += chunk->bytes.size();
      (chunk->stream == output_stream::standard_output ? all.out : all.err) += chunk->bytes;
    } else if (auto* exit = std::get_if<process_exit>(&*event)) {
      all.exit = *exit;
      co_return std::move(all);
    }
  }
}

result<guest_fixture::output> guest_fixture::shell(std::string script, std::chrono::milliseconds timeout) {
  process_spec spec;
  spec.script = std::move(script);
  spec.timeout = timeout;
  auto work = [](guest_fixture* self, process_spec what) -> io_task<result<output>> {
    auto stream = co_await self->io->exec(std::move(what));
    if (!stream)
      co_return std::move(stream.error());
    auto all = co_await collect(std::move(*stream));
    co_return std::move(all);
  };
  return run(work(this, std::move(spec)));
}

result<file_info> guest_fixture::put(std::string path, std::string bytes, bool base64) {
  auto work = [](guest_fixture* self, std::string where, std::string what,
                 bool decode) -> io_task<result<file_info>> {
    write_options options;
    options.path = std::move(where);
    auto sink = co_await self->io->write_file(std::move(options));
    if (!sink)
      co_return std::move(sink.error());
    auto written = co_await (*sink)->write(what);
    if (!written)
      co_return std::move(written.error());
    auto placed = co_await (*sink)->commit(decode);
    co_return std::move(placed);
  };
  return run(work(this, std::move(path), std::move(bytes), base64));
}

result<std::string> guest_fixture::get(std::string path) {
  auto work = [](guest_fixture* self, std::string where) -> io_task<result<std::string>> {
    auto file = co_await self->io->read_file(std::move(where), 0, 0);
    if (!file)
      co_return std::move(file.error());
    std::string all;
    for (;;) {
      auto piece = co_await file->bytes->read();
      if (!piece)
        co_return std::move(piece.error());
      if (piece->empty())
        co_return std::move(all);
      all += *piece;
    }
  };
  return run(work(this, std::move(path)));
}

std::string guest_fixture::process_list() {
  auto listed =
      shell("cat /proc/[0-9]*/stat 2>/dev/null | sed -E 's/^[0-9]+ \\((.*)\\) (.).*/\\2 \\1/; s/^[^Z] //'");
  return listed ? listed->out : std::string{};
}

bool guest_fixture::gone(const std::string& text) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (process_list().find(text) != std::string::npos)
    if (std::chrono::steady_clock::now() > deadline)
      return false;
  return true;
}

bool guest_fixture::ends(std::chrono::milliseconds within) {
  pollfd ended_fd{pidfd_.get(), POLLIN, 0};
  return ::poll(&ended_fd, 1, static_cast<int>(within.count())) == 1;
}

} // namespace sandy::tests
