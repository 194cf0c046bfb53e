#pragma once

#include "coro/task.hpp"
#include "messages/sandbox_io.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sandy {

namespace coro {
class pool;
}

/// What an agent run does with its sandbox, as tasks of the run's actor. One process, one watch.
class agent_box {
public:
  virtual ~agent_box() = default;

  virtual coro::task<void> make_directory(std::string path) = 0;
  /// Writes a file, for its owner alone, and makes the directories it needs.
  virtual coro::task<void> write(std::string path, std::string content) = 0;
  /// The first bytes of a file, at most `most`.
  virtual coro::task<std::string> read(std::string path, std::uint64_t most) = 0;
  virtual coro::task<file_info> stat(std::string path) = 0;

  /// The files of a directory and below, relative to it, but for those in directories of dependencies. Fails
  /// with limit_reached when there are many.
  virtual coro::task<std::vector<std::string>> list(std::string directory) = 0;
  /// Begins to watch a directory and all below, but for directories of dependencies.
  virtual coro::task<void> watch(std::string directory) = 0;
  virtual coro::task<watch_event> next_change() = 0;

  /// Starts the process and follows its output. @returns its id inside.
  virtual coro::task<std::uint32_t> start(process_spec spec) = 0;
  /// Writes to its standard input, and closes it.
  virtual coro::task<void> feed(std::string bytes) = 0;
  virtual coro::task<process_event> next_event() = 0;
  /// Signals the process, and nothing that it started.
  virtual coro::task<void> signal(int number) = 0;
};

/// The real one. @param io of the sandbox, which counts as used while the box is there.
std::shared_ptr<agent_box> make_agent_box(coro::pool& threads, std::shared_ptr<sandbox_io> io);

/// What there is to say of a process of a sandbox. Fails with process_not_found, sandbox_ended.
coro::task<process_info> describe_process(coro::pool& threads, std::shared_ptr<sandbox_io> io,
                                          std::uint32_t process_id);

} // namespace sandy
