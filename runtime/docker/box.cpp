#include "runtime/docker/box.hpp"

#include "runtime/files.hpp"
#include "runtime/process.hpp"

#include <nlohmann/json.hpp>

namespace sandy::runtime::docker {

std::string boxes_directory(const std::string& data_dir) { return data_dir + "/sandboxes"; }

box_files::box_files(const std::string& data_dir, const sandbox_id& id)
    : box(boxes_directory(data_dir) + "/" + id.value)
    , asked(box + "/asked")
    , containers(box + "/containers")
    , copying(box + "/copying")
    , hatch(box + "/d")
    , origin(box + "/origin.json")
    , socket(box + "/sock")
    , state(box + "/state.json")
    , workspace(box + "/workspace") {}

result<void> write_state(const box_files& files, const box_state& state) {
  return write_new_file(files.state, nlohmann::json{{"container", state.container},
                                                    {"cgroup", state.cgroup},
                                                    {"init_pid", state.init_pid},
                                                    {"init_start_ticks", state.init_start_ticks}}
                                         .dump());
}

std::optional<box_state> read_state(const box_files& files) {
  auto parsed = nlohmann::json::parse(read_small_file(files.state).value_or(""), nullptr, false);
  if (!parsed.is_object())
    return std::nullopt; // none, or half of it
  try {
    return box_state{parsed.at("container").get<std::string>(), parsed.at("cgroup").get<std::string>(),
                     parsed.at("init_pid").get<std::int32_t>(),
                     parsed.at("init_start_ticks").get<std::uint64_t>()};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

unique_fd open_init(const box_state& state) {
  auto pidfd = open_pidfd(state.init_pid);
  // Checked after it is open: from here on the descriptor cannot come to mean another process.
  if (!pidfd || process_start_ticks(state.init_pid) != state.init_start_ticks)
    return unique_fd{};
  return std::move(*pidfd);
}

} // namespace sandy::runtime::docker
