#include "runtime/docker/podman.hpp"

#include "runtime/disk_files.hpp"
#include "runtime/docker/engine.hpp"
#include "runtime/files.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>

namespace sandy::runtime::docker {

namespace {

using nlohmann::json;

/// How many processes one user may have. Without a word Podman asks for 1048576, which an engine with a lower
/// limit may not give; it lowers its own to as many as the kernel numbers. What bounds a sandbox is its
/// control group.
std::int64_t most_processes() {
  constexpr std::int64_t fallback = 32'768; // the kernel's, where nobody changed it
  auto numbers = std::strtoll(read_small_file("/proc/sys/kernel/pid_max").value_or("").c_str(), nullptr, 10);
  auto most = numbers > 0 ? static_cast<std::int64_t>(numbers) : fallback;
  rlimit ours{};
  if (::getrlimit(RLIMIT_NPROC, &ours) == 0 && ours.rlim_max != RLIM_INFINITY)
    most = std::min(most, static_cast<std::int64_t>(ours.rlim_max));
  return most;
}

} // namespace

result<bool> is_podman(const engine& at, steady_time deadline) {
  auto answer = at.get("/_ping", deadline);
  if (!answer)
    return std::move(answer.error());
  return answer->server.starts_with("Libpod/");
}

json in_words_of_podman(json request, const std::string& seccomp) {
  auto& host = request.at("HostConfig");
  // Its path, not its text.
  json security = json::array({"no-new-privileges", "seccomp=" + seccomp});
  // MaskedPaths is read by nobody; its own list of read-only paths has all of ours.
  std::string masked;
  for (const auto& path : host.at("MaskedPaths"))
    masked += (masked.empty() ? "mask=" : ":") + path.get<std::string>();
  security.push_back(std::move(masked));
  host["SecurityOpt"] = std::move(security);
  host.erase("MaskedPaths");
  host.erase("ReadonlyPaths");
  host["Ulimits"].push_back({{"Name", "nproc"}, {"Soft", most_processes()}, {"Hard", most_processes()}});
  // Else it copies there what the image has below.
  if (auto tmpfs = host.find("Tmpfs"); tmpfs != host.end())
    for (auto& options : *tmpfs)
      options = options.get<std::string>() + ",notmpcopyup";
  // With the network of another container Docker's engine gives it that one's name.
  request["Hostname"] = sandbox_hostname;
  return request;
}

} // namespace sandy::runtime::docker
