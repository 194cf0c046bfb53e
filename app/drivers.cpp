#include "app/drivers.hpp"

#include "runtime/driver_set.hpp"

#include <filesystem>

namespace sandy {

namespace {

runtime::crun_options crun_options_of(const config& settings) {
  runtime::crun_options options;
  options.data_dir = settings.data_dir;
  options.image_dir = std::filesystem::absolute(settings.image_dir).lexically_normal().string();
  options.guest = program_path(settings.guest, "sandy-guest");
  options.launcher = program_path(settings.launcher, "sandy-launch");
  options.copier = program_path(settings.copier, "sandy-copy-layer");
  if (!settings.cgroup_parent.empty())
    options.cgroup_parent = settings.cgroup_parent;
  options.uid_base = settings.uid_base;
  // The first lease counts from the start of the guest, so that a server that dies at once leaves no sandbox
  // for ever.
  if (auto lease = settings.worker.guest_lease.count(); lease > 0)
    options.guest_arguments = {"--lease-ms", std::to_string(lease)};
  return options;
}

/// Sandboxes that an engine made outlive the server; without the engine they would be taken for gone.
result<void> engine_is_named(const config& settings) {
  const auto boxes = settings.data_dir + "/docker/sandboxes";
  std::error_code error;
  const auto none = std::filesystem::is_empty(boxes, error) || error;
  if (none || !settings.docker_socket.empty())
    return caf::unit;
  return fail(errc::invalid_argument, boxes +
                                          " holds sandboxes that Docker's engine made: docker_socket must "
                                          "name the engine until they have ended");
}

} // namespace

result<std::unique_ptr<runtime::driver>> make_driver(const config& settings, const std::string& crun) {
  if (auto named = engine_is_named(settings); !named)
    return std::move(named.error());
  auto options = crun_options_of(settings);
  options.crun = crun;
  auto first = runtime::crun_driver::make(options);
  if (!first)
    return std::move(first.error());
  if (settings.docker_socket.empty())
    return std::unique_ptr<runtime::driver>{std::move(*first)};
  runtime::docker_options docker;
  docker.data_dir = options.data_dir;
  docker.image_dir = options.image_dir;
  docker.engine_socket = settings.docker_socket;
  docker.guest = options.guest;
  docker.exporter = program_path("", "sandy-export-tree");
  docker.guest_arguments = options.guest_arguments;
  auto second = runtime::docker_driver::make(std::move(docker));
  if (!second)
    return std::move(second.error());
  return std::unique_ptr<runtime::driver>{std::make_unique<runtime::driver_set>(
      std::move(*first), std::move(*second), settings.worker.runtimes.usual)};
}

} // namespace sandy
