#pragma once

#include "runtime/guest/guest_io.hpp"
#include "runtime/unique_fd.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <signal.h>
#include <sys/types.h>

#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace sandy::tests {

/// A real guest as process 1 of a PID namespace of its own, with this machine's files: everything but the
/// isolation. Paths in tests are below `directory`. Needs root.
class guest_fixture {
public:
  explicit guest_fixture(std::string lease_ms = "0");
  guest_fixture(const guest_fixture&) = delete;
  guest_fixture& operator=(const guest_fixture&) = delete;
  ~guest_fixture();

  /// Runs a coroutine to its end.
  template <class T>
  T run(io_task<T> work) {
    std::optional<T> outcome;
    std::exception_ptr thrown;
    auto keep = [](io_task<T> inner, std::optional<T>* to) -> io_task<void> {
      auto value = co_await std::move(inner);
      to->emplace(std::move(value));
    };
    boost::asio::co_spawn(context, keep(std::move(work), &outcome),
                          [&](std::exception_ptr what) { thrown = what; });
    context.restart();
    context.run();
    if (thrown)
      std::rethrow_exception(thrown);
    return std::move(*outcome);
  }

  struct output {
    process_exit exit;
    std::string out, err;
  };
  /// Runs a shell script and collects what it writes.
  result<output> shell(std::string script, std::chrono::milliseconds timeout = {});
  static io_task<result<output>> collect(std::unique_ptr<process_stream> stream);
  result<file_info> put(std::string path, std::string bytes, bool base64 = false);
  result<std::string> get(std::string path);
  /// Names of the processes inside, zombies marked with a Z in front.
  std::string process_list();
  /// True when no process inside has `text` in its name, now or within ten seconds: the dying take a moment.
  bool gone(const std::string& text);
  /// True when process 1 ends within that time.
  bool ends(std::chrono::milliseconds within = std::chrono::seconds{10});
  /// Stops process 1, as a freezer does, and lets it run again.
  void freeze() { ::kill(pid_, SIGSTOP); }
  void thaw() { ::kill(pid_, SIGCONT); }

  std::string directory;
  boost::asio::io_context context{1};
  std::shared_ptr<guest::end_state> ended = std::make_shared<guest::end_state>();
  std::shared_ptr<guest::guest_io> io;
  std::string socket;

private:
  pid_t pid_ = -1;
  runtime::unique_fd pidfd_;
};

} // namespace sandy::tests
