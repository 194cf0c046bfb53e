#include "runtime/guest/guest_io.hpp"

#include <string_view>
#include <utility>

namespace sandy::guest {

guest_io::guest_io(std::string socket_path, environment env, std::string workdir,
                   std::shared_ptr<end_state> ended)
    : socket_path_(std::move(socket_path))
    , workdir_(std::move(workdir))
    , ended_(std::move(ended)) {
  env_ = {{"HOME", "/root"},
          {"USER", "root"},
          {"LOGNAME", "root"},
          {"SHELL", "/bin/bash"},
          {"LANG", "C.UTF-8"},
          {"PATH", "/root/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  env_.insert(env_.end(), std::make_move_iterator(env.begin()), std::make_move_iterator(env.end()));
}

io_task<result<guest_io::link>> guest_io::ask(std::string frames,
                                              std::shared_ptr<const runtime::unique_fd> passed) {
  raw_frame first;
  if (find_frame(frames, max_request_payload, first) == frame_search::too_large)
    co_return fail(errc::invalid_argument,
                   "The request is too large for the sandbox (paths, arguments or environment)");
  auto opened = co_await connection::open(socket_path_, ended_);
  if (!opened)
    co_return std::move(opened.error());
  auto sent = co_await (*opened)->send(std::move(frames), std::move(passed));
  if (!sent)
    co_return std::move(sent.error());
  co_return std::move(*opened);
}

result<std::string> guest_io::absolute_path(std::string path) {
  constexpr std::string_view workspace = "/workspace";
  if (path.find('\0') != std::string::npos)
    return fail(errc::invalid_argument, "The path contains a NUL byte");
  if (path.empty())
    return std::string{workspace};
  if (path.front() != '/')
    path.insert(0, std::string{workspace} + "/");
  return path;
}

} // namespace sandy::guest
